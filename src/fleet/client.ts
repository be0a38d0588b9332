// Asks the relays of a fleet over NATS: lists them, and sends requests of the API to one of them.

import * as v from "valibot";
import { RelayError } from "#lib/errors.ts";
import { parseJson } from "#lib/json.ts";
import { sleep } from "#lib/sleep.ts";
import type { Connection } from "#nats/connection.ts";
import { listen, type PlainMessage, publishPlain } from "#nats/plain-messages.ts";
import {
  ANSWER_HEADERS,
  FLEET_HEADERS,
  FLOW_WINDOW,
  type FleetHost,
  type FleetRequest,
  type FleetView,
  fleetHostSchema,
} from "#wire/fleet.ts";
import { hostSubjects, summariesSubject } from "./subjects.ts";

interface FleetAsking {
  readonly method: string;
  /** From `/`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | null;
  readonly signal: AbortSignal;
  /** How long the caller waits. */
  readonly limitMs: number;
}

export interface FleetClient {
  /** Each that answers in time, whatever its name. */
  readonly list: (signal: AbortSignal) => Promise<readonly FleetHost[]>;
  /** Rejects with a RelayError where no relay of that name answers. */
  readonly ask: (host: string, asking: FleetAsking) => Promise<Response>;
}

/** Far hosts take their time; after so much silence there are no more. */
const LEAST_MS = 700;
const QUIET_MS = 400;
const MOST_MS = 5000;
const MAX_HOSTS = 5000;
const MAX_SUMMARY_BYTES = 16_384;
const ALIVE_MS = 10_000;
/** A relay's clock is asked for again after that. */
const CLOCK_MS = 60_000;
const MAX_QUEUED = 4 * FLOW_WINDOW;

interface Clock {
  readonly instance: string;
  /** Its clock minus the one here, in ms. */
  readonly aheadMs: number;
  readonly at: number;
}

export function createFleetClient(
  connection: Connection,
  { prefix }: { readonly prefix: string },
): FleetClient {
  const clocks = new Map<string, Clock>();

  async function list(signal: AbortSignal): Promise<readonly FleetHost[]> {
    const inbox = connection.newInbox();
    const found = new Map<string, FleetHost>();
    const startedAt = performance.now();
    let heardAt = startedAt;
    const state = { isOver: false };
    const stop = listen(connection, inbox, {
      onMessage(message) {
        heardAt = performance.now();
        if (message.isNobody) state.isOver = true;
        if (message.data.length > MAX_SUMMARY_BYTES || found.size >= MAX_HOSTS) return;
        const parsed = v.safeParse(fleetHostSchema, parseJson(new TextDecoder().decode(message.data)));
        if (parsed.success) found.set(parsed.output.id, parsed.output);
      },
    });
    try {
      if (!publishPlain(connection, summariesSubject(prefix), { reply: inbox })) throw unconnected();
      while (!state.isOver && (await sleep(50, signal))) {
        const now = performance.now();
        if (now - startedAt > MOST_MS || (now - startedAt > LEAST_MS && now - heardAt > QUIET_MS)) break;
      }
    } finally {
      stop();
    }
    return [...found.values()];
  }

  /** A request that changes something goes to one run of the relay, and has an end by that relay's clock. */
  async function clockOf(host: string, asking: FleetAsking): Promise<Clock> {
    const known = clocks.get(host);
    if (known !== undefined && performance.now() - known.at < CLOCK_MS) return known;
    const { signal, limitMs } = asking;
    const { first } = await exchange(host, { method: "GET", path: "/livez" }, { signal, limitMs });
    const time = Date.parse(first.header(FLEET_HEADERS.time) ?? "");
    const clock = {
      instance: first.header(FLEET_HEADERS.instance) ?? "",
      aheadMs: Number.isNaN(time) ? 0 : time - Date.now(),
      at: performance.now(),
    };
    if (clocks.size > MAX_HOSTS) clocks.clear();
    clocks.set(host, clock);
    return clock;
  }

  /** Resolves with the first message of the answer. */
  async function exchange(
    host: string,
    request: FleetRequest,
    { signal, limitMs }: Pick<FleetAsking, "signal" | "limitMs">,
  ): Promise<{ first: PlainMessage; rest: MessageQueue }> {
    const subjects = hostSubjects({ prefix, host });
    const isReading = request.method === "GET" || request.method === "HEAD";
    const rest = createQueue(connection);
    const payload = JSON.stringify(request);
    const subject = isReading ? subjects.read : subjects.api;
    if (!publishPlain(connection, subject, { payload, reply: rest.inbox })) {
      rest.close();
      throw unconnected();
    }
    try {
      const first = await rest.next(AbortSignal.any([signal, AbortSignal.timeout(limitMs)]));
      if (first === null) {
        throw new RelayError("unavailable", `The relay ${host} did not answer within ${limitMs / 1000} s`);
      }
      if (!first.isNobody) return { first, rest };
      const why = `No relay with "fleet" is called ${host} here, or NATS does not let you ask it`;
      throw new RelayError("unavailable", why);
    } catch (error) {
      rest.close();
      throw error;
    }
  }

  async function ask(host: string, asking: FleetAsking): Promise<Response> {
    const { method, path, headers = {}, body = null, limitMs } = asking;
    const isReading = method === "GET" || method === "HEAD";
    const clock = isReading ? null : await clockOf(host, asking);
    const request = {
      method,
      path,
      headers,
      ...(body === null ? {} : { bytes: Buffer.from(body).toString("base64") }),
      ...(clock === null
        ? {}
        : {
            instance: clock.instance,
            deadline: new Date(Date.now() + clock.aheadMs + limitMs).toISOString(),
          }),
    } as FleetRequest;
    try {
      const { first, rest } = await exchange(host, request, asking);
      return toResponse({ first, rest, host, signal: asking.signal });
    } catch (error) {
      clocks.delete(host); // The relay may have started anew.
      throw error;
    }
  }

  function toResponse(answer: {
    first: PlainMessage;
    rest: MessageQueue;
    host: string;
    signal: AbortSignal;
  }): Response {
    const { first, rest, host, signal } = answer;
    const status = Number(first.header(FLEET_HEADERS.status) ?? "0");
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      rest.close();
      throw new RelayError("unavailable", `What answers as ${host} is no relay`);
    }
    const subjects = hostSubjects({ prefix, host });
    const flow = first.header(FLEET_HEADERS.flow) ?? "";
    const tell = (received: number, cancel = false) =>
      publishPlain(connection, subjects.read, { payload: JSON.stringify({ flow, received, cancel }) });
    const headers = new Headers();
    for (const name of ANSWER_HEADERS) {
      const value = first.header(name);
      if (value !== null) headers.set(name, value);
    }
    if (status === 204 || status === 304) {
      rest.close();
      return new Response(null, { status, headers });
    }
    return new Response(toBody({ first, rest, tell, signal }), { status, headers });
  }

  return { list, ask };
}

/** Trouble first, then by name. */
export function toFleetView(hosts: readonly FleetHost[]): FleetView {
  const names = hosts.map(({ host }) => host);
  return {
    items: hosts.toSorted((left, right) => rankOf(left) - rankOf(right) || (left.host < right.host ? -1 : 1)),
    duplicates: [...new Set(names.filter((name, index) => names.indexOf(name) !== index))],
  };
}

function rankOf({ ready, subscriptions }: FleetHost): number {
  if (!ready) return 0;
  return (subscriptions["failed"] ?? 0) > 0 ? 1 : 2;
}

function unconnected(): RelayError {
  return new RelayError("unavailable", "Cannot ask over NATS: not connected");
}

function toBody({
  first,
  rest,
  tell,
  signal,
}: {
  first: PlainMessage;
  rest: MessageQueue;
  tell: (received: number, cancel?: boolean) => void;
  signal: AbortSignal;
}): ReadableStream<Uint8Array> {
  let waiting: PlainMessage | null = first;
  let part = 0;
  const leaving = new AbortController();
  const alive = setInterval(() => tell(Math.max(0, part - 1)), ALIVE_MS);
  const end = () => {
    clearInterval(alive);
    rest.close();
  };
  return new ReadableStream(
    {
      async pull(controller) {
        const message = waiting ?? (await rest.next(AbortSignal.any([leaving.signal, signal])));
        waiting = null;
        if (leaving.signal.aborted) return;
        const number = Number(message?.header(FLEET_HEADERS.part) ?? "-1");
        if (message === null || number !== part || message.header(FLEET_HEADERS.fault) !== null) {
          end();
          tell(part, true);
          return controller.error(new Error("the answer broke off"));
        }
        if (message.data.length > 0) controller.enqueue(message.data);
        if (message.header(FLEET_HEADERS.end) !== null) {
          end();
          return controller.close();
        }
        if (part % (FLOW_WINDOW / 2) === 0) tell(part);
        part += 1;
        // An empty part has nothing to hand on: the next one is asked for by whoever reads.
        if (message.data.length === 0) controller.enqueue(new Uint8Array());
      },
      cancel() {
        leaving.abort();
        end();
        tell(part, true);
      },
    },
    { highWaterMark: 0 },
  );
}

interface MessageQueue {
  readonly inbox: string;
  /** Null: `signal` aborted, it was closed, or there came more than it holds. */
  readonly next: (signal: AbortSignal) => Promise<PlainMessage | null>;
  readonly close: () => void;
}

function createQueue(connection: Connection): MessageQueue {
  const inbox = connection.newInbox();
  const queued: PlainMessage[] = [];
  let wake = Promise.withResolvers<void>();
  const state = { isClosed: false };
  const stir = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const close = () => {
    state.isClosed = true;
    stop();
    stir();
  };
  const stop = listen(connection, inbox, {
    onMessage(message) {
      if (queued.length >= MAX_QUEUED) return close();
      queued.push(message);
      stir();
    },
  });
  return {
    inbox,
    close,
    async next(signal) {
      signal.addEventListener("abort", stir, { once: true });
      while (queued.length === 0 && !state.isClosed && !signal.aborted) await wake.promise;
      signal.removeEventListener("abort", stir);
      return signal.aborted ? null : (queued.shift() ?? null);
    },
  };
}
