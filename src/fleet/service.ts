// Serves the API over NATS, as a micro service: whoever may publish to its subject is an operator, or may read.
//
//   message -> looked at? -> for this run of the relay? -> to an inbox? -> not too late? -> one of few -> the API's own routes
//
// Nothing that comes in may end the process, make the relay publish elsewhere than to an inbox, or hold up its deliveries.

import * as v from "valibot";
import { messageOf } from "#lib/errors.ts";
import { isObject, parseJson } from "#lib/json.ts";
import type { Logger } from "#lib/logger.ts";
import type { Connection } from "#nats/connection.ts";
import { listen, type PlainMessage, publishPlain } from "#nats/plain-messages.ts";
import { FLEET_HEADERS, fleetRequestSchema, flowSchema, type FleetHost } from "#wire/fleet.ts";
import { createFlow, type Flow, sendAnswer } from "./answer.ts";
import { createLimits } from "./limits.ts";
import { answerQuestion, type ServiceEndpoint, questionSubjects, VERBS } from "./micro.ts";
import { watchNamesakes } from "./namesakes.ts";
import { callerOf, type FleetPlace, hostSubjects, isInbox, summariesSubject } from "./subjects.ts";

export interface FleetCaller {
  /** Whose work it is, as far as NATS tells. */
  readonly tenant: string;
  readonly mayWrite: boolean;
  /** Aborts when the answer has been sent. */
  readonly over: AbortSignal;
}

interface ServiceOptions extends FleetPlace {
  readonly connection: Connection;
  readonly inboxPrefix: string;
  readonly version: string;
  readonly startedAt: Date;
  readonly logger: Logger;
  /** The routes of the API. */
  readonly fetch: (request: Request, caller: FleetCaller) => Response | Promise<Response>;
  readonly summary: () => Omit<FleetHost, "id" | "now">;
}

export interface FleetService {
  /** Why it does not serve as it should; null: it does. */
  readonly fault: () => string | null;
  readonly close: () => void;
}

type FleetRequest = v.InferOutput<typeof fleetRequestSchema>;

/** A body of 1 MiB in base64, and what stands around it. */
const MAX_BYTES = 1_500_000;
const SMALL_BYTES = 256;
const SILENCE_MS = 30_000;
const PART_BYTES = 65_536;
const MAX_HEADER_BYTES = 8192;
const WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export function serveFleet(options: ServiceOptions): FleetService {
  const { connection, prefix, host, inboxPrefix, logger } = options;
  const id = crypto.randomUUID().replaceAll("-", "");
  const subjects = hostSubjects(options);
  const toEndpoint = (name: string, subject: string): ServiceEndpoint => ({
    name,
    subject,
    requests: 0,
    errors: 0,
    lastError: "",
    busyMs: 0,
  });
  const api = toEndpoint("api", subjects.api);
  const read = toEndpoint("read", subjects.read);
  const limits = createLimits(() => performance.now());
  const flows = new Map<string, Flow>();
  const closing = new AbortController();
  let refused: string | null = null;
  const namesakes = watchNamesakes({ connection, subject: subjects.presence, id, host, logger });
  const partBytes = () => Math.max(1024, Math.min(PART_BYTES, connection.maxPayload - MAX_HEADER_BYTES));

  /** Null: nobody may be answered there. */
  function replyOf({ reply }: PlainMessage): string | null {
    return reply !== null && isInbox(reply, inboxPrefix) ? reply : null;
  }

  function onRequest(message: PlainMessage, endpoint: ServiceEndpoint): void {
    // What a reader of an answer says is small, and costs little.
    const isSmall = message.data.length <= SMALL_BYTES;
    if (message.data.length > MAX_BYTES || (!isSmall && !limits.mayLook())) return;
    const given = parseJson(message.data.length === 0 ? '{"path":"/api/status"}' : toText(message.data));
    if (isObject(given) && "flow" in given) return onFlow(given);
    const reply = replyOf(message);
    if (reply === null || (isSmall && !limits.mayLook())) return;
    const parsed = v.safeParse(fleetRequestSchema, given);
    if (parsed.success && (parsed.output.instance ?? id) !== id) return;
    const caller = callerOf(reply, inboxPrefix);
    endpoint.requests += 1;
    const refuse = (status: number, detail: string) => {
      endpoint.errors += 1;
      endpoint.lastError = detail;
      void answer(toProblem(status, detail), { reply, flow: createFlow(id, SILENCE_MS) });
    };
    if (!parsed.success) return refuse(400, 'Send JSON such as { "method": "GET", "path": "/api/status" }');
    const fault = faultOf(parsed.output);
    if (fault !== null) return refuse(...fault);
    if (!limits.take(caller)) return refuse(429, "Too many requests are under way already");
    void serve(parsed.output, { reply, caller, endpoint }).finally(() => limits.release(caller));
  }

  function faultOf({ method, path, deadline }: FleetRequest): [status: number, detail: string] | null {
    if (deadline !== undefined && Date.parse(deadline) <= Date.now()) {
      return [408, "The request came after its deadline: nothing was changed"];
    }
    if (URL.parse(path, "http://relay")?.host !== "relay") return [400, "path takes the path of a route"];
    if (!WITHOUT_BODY.has(method) && namesakes.fault() !== null) return [409, namesakes.fault() ?? ""];
    return null;
  }

  function onFlow(given: object): void {
    const parsed = v.safeParse(flowSchema, given);
    if (!parsed.success) return;
    const flow = flows.get(parsed.output.flow);
    if (parsed.output.cancel) flow?.leave();
    else flow?.take(parsed.output.received);
  }

  /** Never rejects. */
  async function serve(
    given: FleetRequest,
    { reply, caller, endpoint }: { reply: string; caller: string; endpoint: ServiceEndpoint },
  ): Promise<void> {
    const flow = createFlow(crypto.randomUUID().replaceAll("-", ""), SILENCE_MS);
    flows.set(flow.id, flow);
    const over = new AbortController();
    const startedAt = performance.now();
    try {
      const leftMs = given.deadline === undefined ? null : Date.parse(given.deadline) - Date.now();
      const limit = leftMs === null ? [] : [AbortSignal.timeout(Math.min(Math.max(1, leftMs), 2 ** 31 - 1))];
      const signal = AbortSignal.any([flow.left, closing.signal, ...limit]);
      const request = toRequest(given, signal);
      const mayWrite = endpoint === api;
      const response = await options.fetch(request, {
        tenant: `nats ${caller}`,
        mayWrite,
        over: over.signal,
      });
      endpoint.busyMs += performance.now() - startedAt;
      if (response.status >= 500) endpoint.errors += 1;
      await answer(response, { reply, flow });
    } catch (error) {
      endpoint.errors += 1;
      endpoint.lastError = messageOf(error);
      await answer(toProblem(400, "This is no request of the API"), { reply, flow });
    } finally {
      over.abort();
      flow.leave();
      flows.delete(flow.id);
    }
  }

  async function answer(response: Response, { reply, flow }: { reply: string; flow: Flow }): Promise<void> {
    const headers = { [FLEET_HEADERS.instance]: id, [FLEET_HEADERS.time]: new Date().toISOString() };
    const publish = (payload: Uint8Array, own: Readonly<Record<string, string>>) =>
      publishPlain(connection, reply, { payload, headers: own });
    await sendAnswer(response, { publish, headers, partBytes: partBytes(), flow });
    flow.leave();
  }

  function onSummary(message: PlainMessage): void {
    const reply = replyOf(message);
    if (reply === null || !limits.mayLook()) return;
    const summary: FleetHost = { ...options.summary(), id, now: new Date().toISOString() };
    publishPlain(connection, reply, { payload: JSON.stringify(summary) });
  }

  function onQuestion(message: PlainMessage, verb: (typeof VERBS)[number]): void {
    const reply = replyOf(message);
    if (reply === null || !limits.mayLook()) return;
    const { version, startedAt } = options;
    const described = { id, version, startedAt, metadata: { host, prefix }, endpoints: [api, read] };
    publishPlain(connection, reply, { payload: JSON.stringify(answerQuestion(verb, described)) });
  }

  function onRefused(reason: string): void {
    if (refused === null) logger.warn("NATS forbids a subject of the fleet", { reason });
    refused = reason;
  }

  const on = (subject: string, take: (message: PlainMessage) => void) =>
    listen(connection, subject, {
      onRefused,
      onMessage(message) {
        try {
          take(message);
        } catch (error) {
          logger.warn("A message of the fleet was ignored", { subject, reason: messageOf(error) });
        }
      },
    });
  const listening = [
    on(subjects.api, (message) => onRequest(message, api)),
    on(subjects.read, (message) => onRequest(message, read)),
    on(summariesSubject(prefix), onSummary),
    ...VERBS.flatMap((verb) =>
      questionSubjects(verb, id).map((subject) => on(subject, (message) => onQuestion(message, verb))),
    ),
  ];

  return {
    fault: () => namesakes.fault() ?? (refused === null ? null : `NATS forbids a subject: ${refused}`),
    close() {
      for (const stop of listening) stop();
      namesakes.close();
      closing.abort();
      for (const flow of flows.values()) flow.leave();
    },
  };
}

function toText(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** Throws where it is none. */
function toRequest(given: FleetRequest, signal: AbortSignal): Request {
  const { method, path, body, bytes } = given;
  const headers = new Headers(given.headers);
  for (const name of ["host", "origin", "cookie", "authorization", "content-length"]) headers.delete(name);
  const hasBody = !WITHOUT_BODY.has(method) && (body !== undefined || bytes !== undefined);
  if (hasBody && bytes === undefined) headers.set("content-type", "application/json");
  const content = bytes === undefined ? JSON.stringify(body) : Buffer.from(bytes, "base64");
  return new Request(new URL(path, "http://relay").href, {
    method,
    headers,
    signal,
    body: hasBody ? content : null,
  });
}

function toProblem(status: number, detail: string): Response {
  return new Response(JSON.stringify({ type: "about:blank", title: "Refused", status, detail }), {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}
