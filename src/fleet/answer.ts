// Sends an answer of the API in messages: several for a large one or a stream, no more at once than its reader takes.
//
//   sent < received + window -> send the next part
//   otherwise                -> wait for its reader; one that is silent for 30 s has left

import { ANSWER_HEADERS, FLEET_HEADERS, FLOW_WINDOW } from "#wire/fleet.ts";

interface AnswerOptions {
  /** False: it could not be sent. */
  readonly publish: (payload: Uint8Array, headers: Readonly<Record<string, string>>) => boolean;
  /** In the first message. */
  readonly headers: Readonly<Record<string, string>>;
  readonly partBytes: number;
  readonly flow: Flow;
}

export interface Flow {
  readonly id: string;
  /** Aborts when the reader has left. */
  readonly left: AbortSignal;
  readonly leave: () => void;
  readonly take: (received: number) => void;
  /** Waits until part `number` may be sent. */
  readonly untilWanted: (number: number) => Promise<void>;
}

/** `FleetClient` leaves the last one out. */
const PASSED = [...ANSWER_HEADERS, "www-authenticate"];

export function createFlow(id: string, silenceMs: number): Flow {
  const leaving = new AbortController();
  const state = { received: -1 };
  let wake = Promise.withResolvers<void>();
  const leave = () => {
    clearTimeout(timer);
    leaving.abort();
    wake.resolve();
  };
  const timer = setTimeout(leave, silenceMs);
  return {
    id,
    left: leaving.signal,
    leave,
    take(number) {
      timer.refresh();
      state.received = Math.max(state.received, number);
      wake.resolve();
      wake = Promise.withResolvers();
    },
    async untilWanted(number) {
      while (!leaving.signal.aborted && number > state.received + FLOW_WINDOW) await wake.promise;
    },
  };
}

/** Resolves when all of it has been sent, or nobody reads it. Never rejects. */
export async function sendAnswer(response: Response, options: AnswerOptions): Promise<void> {
  const { flow, partBytes } = options;
  const first = { ...options.headers, ...toHeaders(response), [FLEET_HEADERS.flow]: flow.id };
  let part = 0;

  async function send(bytes: Uint8Array, more: Readonly<Record<string, string>>): Promise<boolean> {
    await flow.untilWanted(part);
    if (flow.left.aborted) return false;
    const headers = { ...(part === 0 ? first : {}), [FLEET_HEADERS.part]: String(part), ...more };
    part += 1;
    return options.publish(bytes, headers);
  }

  const end = { [FLEET_HEADERS.end]: "1" };
  const reader = response.body?.getReader();
  if (reader === undefined) return void (await send(new Uint8Array(), end));
  flow.left.addEventListener("abort", () => void reader.cancel().catch(() => {}), { once: true });
  const isStream = response.headers.get("content-type") === "text/event-stream";
  try {
    let kept: Uint8Array | null = null;
    for (;;) {
      const chunk = await reader.read();
      if (chunk.done) break;
      for (let at = 0; at < chunk.value.length; at += partBytes) {
        // The last part of what is no stream is kept, for it may be the last one of all.
        if (kept !== null && !(await send(kept, {}))) return;
        kept = chunk.value.subarray(at, at + partBytes);
      }
      if (isStream && kept !== null) {
        if (!(await send(kept, {}))) return;
        kept = null;
      }
    }
    await send(kept ?? new Uint8Array(), end);
  } catch {
    await send(new Uint8Array(), { ...end, [FLEET_HEADERS.fault]: "the answer broke off" });
  } finally {
    void reader.cancel().catch(() => {}); // Nobody reads what is left of it.
  }
}

function toHeaders({ status, headers }: Response): Readonly<Record<string, string>> {
  const passed = PASSED.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  return {
    [FLEET_HEADERS.status]: String(status),
    ...Object.fromEntries(passed),
    // As services of NATS say it.
    ...(status < 400
      ? {}
      : { "Nats-Service-Error-Code": String(status), "Nats-Service-Error": `HTTP ${status}` }),
  };
}
