// The HTTP client for a running relay: sends a request, with limits for time and size, and returns the answer or the refusal.

import { codeOf, messageOf, RelayError } from "#lib/errors.ts";
import { isObject, parseJson, readText } from "#lib/json.ts";
import { clean, cleanLines } from "#lib/printable.ts";
import type { RelayPlace } from "./find-relay.ts";

interface Refusal {
  readonly kind: "refused";
  readonly status: number;
  /** For people: clean, and of several lines where it lists faults. */
  readonly reason: string;
}

type Answer = { readonly kind: "done"; readonly value: unknown } | Refusal;

export type OpenedStream = { readonly kind: "open"; readonly chunks: AsyncIterable<Uint8Array> } | Refusal;

export interface Asking {
  /** Bytes are sent as they are. */
  readonly body?: object | Uint8Array;
  readonly limitMs?: number;
}

export interface Client {
  /** The path of its socket, or its URL. */
  readonly address: string;
  /** Rejects with a RelayError if no relay answers in time. */
  readonly ask: (method: string, path: string, asking?: Asking) => Promise<Answer>;
  /** For an answer of any length, which may take long but not be silent. Rejects as `ask` does, and so do its chunks. */
  readonly open: (path: string, headers?: Readonly<Record<string, string>>) => Promise<OpenedStream>;
}

/** Time limit for most requests: a relay answers at once, unless it waits for a callback or drains. */
const ANSWER_MS = 15_000;
/** Time limit for requests that wait: a little more than the longest timeout and grace period of a config. */
export const PATIENT_MS = 615_000;
/** Longest silence within an answer without end. */
const SILENCE_MS = 60_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** `stopping` aborts every request. */
export function createClient(place: RelayPlace, stopping: AbortSignal): Client {
  const address = addressOf(place);

  async function ask(method: string, path: string, asking: Asking = {}): Promise<Answer> {
    const { limitMs = ANSWER_MS, body } = asking;
    const limit = AbortSignal.timeout(limitMs);
    try {
      const response = await send(place, path, {
        method,
        redirect: "manual",
        signal: AbortSignal.any([stopping, limit]),
        headers: headersFor(place, body),
        body: body === undefined ? null : body instanceof Uint8Array ? body : JSON.stringify(body),
      });
      return toAnswer(place, { response, text: await readText(response.body, MAX_ANSWER_BYTES) });
    } catch (error) {
      throw toFault(error, limit.aborted ? limitMs : null);
    }
  }

  async function open(path: string, headers: Readonly<Record<string, string>> = {}): Promise<OpenedStream> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const fail = (error: unknown) => toFault(error, silence.signal.aborted ? SILENCE_MS : null);
    try {
      const response = await send(place, path, {
        method: "GET",
        redirect: "manual",
        signal: AbortSignal.any([stopping, silence.signal]),
        headers: { ...headersFor(place, undefined), ...headers },
      });
      if (response.ok) return { kind: "open", chunks: readOn(response, { timer, fail }) };
      clearTimeout(timer);
      return toRefusal(place, {
        status: response.status,
        value: parseJson(await readText(response.body, MAX_ANSWER_BYTES)),
      });
    } catch (error) {
      clearTimeout(timer);
      throw fail(error);
    }
  }

  function toFault(error: unknown, lateMs: number | null): RelayError {
    if (error instanceof RelayError) return error;
    if (lateMs !== null) {
      const text = `The relay at ${address} did not answer within ${lateMs / 1000} s`;
      return new RelayError("unavailable", text, { cause: error });
    }
    const why = stopping.aborted ? "interrupted" : clean(reasonOf(error));
    return new RelayError("unavailable", `Cannot ask the relay at ${address}: ${why}`, { cause: error });
  }

  return { address, ask, open };
}

/** Readable reasons for error codes of Bun. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection broke before the answer was complete",
  ENOENT: "not found",
  ENOTFOUND: "name not found",
  EPROTO: "it does not speak TLS",
  Malformed_HTTP_Response: "it does not speak HTTP",
};

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return REASONS[code] ?? messageOf(error);
}

/** Cancels the rest of the body if the reader stops early. */
async function* readOn(
  response: Response,
  { timer, fail }: { timer: NodeJS.Timeout; fail: (error: unknown) => RelayError },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      timer.refresh();
      yield chunk;
    }
  } catch (error) {
    throw fail(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The value of the answer. Throws a RelayError if the relay refused. `what`: completes "Cannot …". */
export function expectDone(answer: Answer, what: string): unknown {
  if (answer.kind === "done") return answer.value;
  throw new RelayError("unavailable", `Cannot ${what}: ${answer.reason}`);
}

/** Never through a proxy of the environment: it must not see the token. */
export function send(place: RelayPlace, path: string, request: RequestInit): Promise<Response> {
  if (place.kind === "host") return place.send(path, request);
  if (place.kind === "socket") return fetch(`http://localhost/${path}`, { ...request, unix: place.path });
  const direct = { ...request, proxy: false as unknown as string };
  return fetch(new URL(path, place.url), direct);
}

export function headersFor(place: RelayPlace, body: Asking["body"]): Record<string, string> {
  return {
    accept: "application/json",
    connection: "close",
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(place.kind === "url" && place.token !== null ? { authorization: `Bearer ${place.token}` } : {}),
  };
}

function toAnswer(
  place: RelayPlace,
  { response: { status, ok }, text }: { response: Response; text: string },
): Answer {
  const value = status === 204 ? null : parseJson(text);
  if (ok && value !== undefined) return { kind: "done", value };
  if (ok) throw new RelayError("unavailable", `The server at ${addressOf(place)} is not a relay`);
  return toRefusal(place, { status, value });
}

function toRefusal(place: RelayPlace, { status, value }: { status: number; value: unknown }): Refusal {
  const reason = toReason(value, status) ?? `it answered with status ${status}`;
  if (status !== 401 || place.kind !== "url") return { kind: "refused", status, reason };
  const hint = place.token === null ? "RELAY_TOKEN is not set" : "the token in RELAY_TOKEN is not accepted";
  return { kind: "refused", status, reason: `${reason} (${hint})` };
}

function addressOf(place: RelayPlace): string {
  if (place.kind === "host") return place.name;
  return place.kind === "socket" ? place.path : place.url.href;
}

/** From problem details, RFC 9457; null: the value is something else. */
function toReason(value: unknown, status: number): string | null {
  if (!isObject(value)) return null;
  const { title, detail, errors } = value;
  const first = typeof detail === "string" ? detail : title;
  if (typeof first !== "string") return null;
  const faults: readonly unknown[] = Array.isArray(errors) ? errors : [];
  return [cleanLines(first), ...faults.map((fault) => `  ${clean(toFaultLine(fault, status))}`)].join("\n");
}

/** What is wrong with a query is wrong with the option that gave it: their names are the same. */
function toFaultLine(fault: unknown, status: number): string {
  if (!isObject(fault)) return String(fault);
  const { path, message } = fault;
  if (typeof path !== "string" || path === "") return String(message);
  const name = status === 400 ? toOption(path) : path;
  return `${name}: ${String(message)}`;
}

/** `webhookId` is `--webhook-id`. */
function toOption(name: string): string {
  return `--${name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;
}
