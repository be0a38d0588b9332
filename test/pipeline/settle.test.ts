// storeLetter(): a letter that no endpoint takes is tried again, the less often the longer, but at once where that may have changed.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openCallback } from "#callback/client.ts";
import type { StoreResult } from "#letters/store.ts";
import { createSettler } from "#pipeline/settle.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { toSubscription } from "../support/subscription.ts";
import { message, open } from "./guards.ts";

let stack: AsyncDisposableStack;
let directory: string;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  directory = stack.use(await temporaryDirectory()).path;
});
afterAll(() => stack.disposeAsync());

test("storeLetter() tries at once when terms change, and when it closes, and goes on until its time is over", async () => {
  await using guard = await open(join(directory, "sub"));
  const turns = createTurns(1);
  const terms = createTerms(toSubscription(), {
    openCallback: ({ callback }) => openCallback(callback, { connections: 1 }),
    hasDeadLetters: true,
  });
  const blocked: (string | null)[] = [];
  const logger = createRecordingLogger();
  const settler = createSettler({ terms, turns, guard, logger, onBlocked: (reason) => blocked.push(reason) });
  let tries = 0;
  const store = (): Promise<StoreResult> => {
    tries += 1;
    return Promise.resolve({ kind: "unavailable", reason: `refused ${tries} times` });
  };
  const received = {
    message: message(1),
    ack: () => undefined,
    confirmAck: () => Promise.resolve(true),
    nak: () => undefined,
    working: () => undefined,
    pending: 0,
    bytes: 0,
    consumerSequence: 1,
  };
  const closing = new AbortController();
  const letters = new AbortController();
  const stored = settler.storeLetter(
    { received, attempts: 1, isRedeliverable: false, mayHaveLetter: false, postponements: 0, trace: null },
    { kind: "exception", code: "timeout", error: "It took too long" },
    {
      deadLetters: { store, has: () => Promise.resolve(false), check: () => Promise.resolve(null) },
      closing: closing.signal,
      repeating: letters.signal,
      trying: letters.signal,
    },
  );
  // The next one is at least 1.5 s away.
  await eventually(() => tries === 4);
  turns.wake();
  await eventually(() => tries === 5, { withinMs: 1000 });
  closing.abort();
  await eventually(() => tries === 6, { withinMs: 500 });
  await eventually(() => tries === 7, { withinMs: 1750 });
  letters.abort();
  expect(await stored).toEqual({ kind: "unavailable", reason: "refused 7 times" });
  expect(blocked.slice(0, 2)).toEqual(["refused 1 times", "refused 2 times"]);
  expect(blocked.at(-1)).toBeNull();
  await terms.close(0);
});
