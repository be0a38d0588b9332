// The decision table: outcome, quality of the settings and attempt on the left, what is done on the right.

import { describe, expect, test } from "bun:test";

import type { ActiveRetry, Retry } from "#delivery/backoff.ts";
import type { FailedOutcome as Failure, Outcome } from "#delivery/outcome.ts";
import { type Action, decide, holdMsOf, type Policy } from "#delivery/policy.ts";

const RETRY: ActiveRetry = {
  kind: "exponential",
  maxAttempts: 3,
  initialDelayMs: 1000,
  maxDelayMs: 60_000,
};
const DAY_MS = 86_400_000;
const REJECTED: Failure = { kind: "rejected", status: 404, retryAfterMs: null };
const SERVER_ERROR: Failure = { kind: "server-error", status: 500, retryAfterMs: null };
const EXCEPTION: Failure = { kind: "exception", code: "reset", error: "Connection reset" };

interface Case {
  readonly retry?: Retry;
  readonly hasDeadLetters?: boolean;
  readonly interruptOnServerError?: boolean;
  readonly interruptOnException?: boolean;
  readonly attempt?: number;
  readonly mayRetry?: boolean;
  readonly heedsRetryAfter?: boolean;
  readonly random?: number;
}

function decideFor(failure: Failure, options: Case): Action {
  const { attempt = 1, mayRetry = true, heedsRetryAfter = true, random = 0, ...settings } = options;
  const policy: Policy = {
    retry: { kind: "none" },
    hasDeadLetters: false,
    interruptOnServerError: true,
    interruptOnException: true,
    ...settings,
  };
  return decide(failure, policy, { attempt, mayRetry, heedsRetryAfter, random });
}

function status(code: number, retryAfterMs: number | null = null): Failure {
  return { kind: code >= 500 ? "server-error" : "rejected", status: code, retryAfterMs };
}

describe("decide() after the last attempt", () => {
  const onServerError = (isOn: boolean): Case => ({
    interruptOnServerError: isOn,
    interruptOnException: !isOn,
  });
  const onException = (isOn: boolean): Case => ({
    interruptOnException: isOn,
    interruptOnServerError: !isOn,
  });

  test.each<[failure: Failure, settings: Case, withDeadLetters: string, without: string]>([
    [REJECTED, onServerError(true), "dead-letter", "interrupt"],
    [REJECTED, onServerError(false), "dead-letter", "interrupt"],
    [SERVER_ERROR, onServerError(true), "interrupt", "interrupt"],
    [SERVER_ERROR, onServerError(false), "dead-letter", "drop"],
    [EXCEPTION, onException(true), "interrupt", "interrupt"],
    [EXCEPTION, onException(false), "dead-letter", "drop"],
  ])("%j with %j: %s with dead letters, %s without", (failure, settings, withDeadLetters, without) => {
    for (const retry of [{ kind: "none" }, { ...RETRY, maxAttempts: 1 }] as const) {
      const last = { ...settings, retry, attempt: 2 };
      expect(decideFor(failure, { ...last, hasDeadLetters: true })).toEqual({
        kind: withDeadLetters,
        failure,
      } as Action);
      expect(decideFor(failure, { ...last, hasDeadLetters: false })).toEqual({
        kind: without,
        failure,
      } as Action);
    }
  });

  test.each([404, 429])("a %d interrupts without dead letters even where no flag interrupts", (code) => {
    const settings = { interruptOnServerError: false, interruptOnException: false };
    expect(decideFor(status(code), settings).kind).toBe("interrupt");
  });
});

test("decide() acks what was delivered, whatever the settings are", () => {
  for (const mayRetry of [true, false]) {
    for (const retry of [RETRY, { kind: "none" }] as const) {
      const policy = {
        retry,
        hasDeadLetters: true,
        interruptOnServerError: true,
        interruptOnException: true,
      };
      const outcome = { kind: "delivered", status: 204 } as const;
      const circumstances = { attempt: 1, mayRetry, heedsRetryAfter: true, random: 0 };
      expect(decide(outcome, policy, circumstances)).toEqual({ kind: "ack" });
    }
  }
});

describe("decide() on retries", () => {
  test.each([408, 425, 429, 500, 501, 502, 503, 504, 599, 600, 999])("retries a %d", (code) => {
    expect(decideFor(status(code), { retry: RETRY }).kind).toBe("retry");
  });

  test.each([
    100, 101, 199, 300, 301, 304, 307, 400, 401, 403, 404, 407, 409, 410, 413, 422, 424, 426, 451, 499,
  ])("never retries a %d", (code) => {
    expect(decideFor(status(code), { retry: RETRY, hasDeadLetters: true }).kind).toBe("dead-letter");
  });

  test("retries an exception, with its backoff", () => {
    expect(decideFor(EXCEPTION, { retry: RETRY, attempt: 2 })).toEqual({
      kind: "retry",
      failure: EXCEPTION,
      delayMs: 2000,
      askedMs: 0,
    });
  });

  test.each([
    [1, 1, "retry"],
    [1, 2, "interrupt"],
    [3, 3, "retry"],
    [3, 4, "interrupt"],
    [1000, 1000, "retry"],
    [1000, 1001, "interrupt"],
  ])("with %d retries after the first call, attempt %d: %s", (maxAttempts, attempt, kind) => {
    const action = decideFor(SERVER_ERROR, { retry: { ...RETRY, maxAttempts }, attempt });
    expect(action.kind).toBe(kind as Action["kind"]);
  });

  test.each([
    [SERVER_ERROR, "dead-letter"],
    [EXCEPTION, "interrupt"],
    [status(429, 1000), "dead-letter"],
  ])("never retries %j where it may not be sent again", (failure, kind) => {
    const settings = { retry: RETRY, hasDeadLetters: true, interruptOnServerError: false, mayRetry: false };
    expect(decideFor(failure, settings).kind).toBe(kind as Action["kind"]);
  });

  test("does not retry under No Retry, whatever Retry-After asks for", () => {
    expect(decideFor(status(503, 1000), {}).kind).toBe("interrupt");
  });
});

describe("decide() on Retry-After", () => {
  const AT_ONCE = 0;
  test.each([
    // status, Retry-After, for the message, for the subscription
    [503, null, 0, 0],
    [503, AT_ONCE, 0, 0],
    [503, -5000, 0, 0],
    [503, 400, 400, 400],
    [503, 5000, 5000, 5000],
    [503, 60_000, 60_000, 60_000],
    [503, 3_600_000, 60_000, 60_000],
    [429, 5000, 5000, 5000],
    [429, 3_600_000, 60_000, 60_000],
    [429, null, 0, 0],
    [408, 5000, 5000, 0],
    [425, 5000, 5000, 0],
    [500, 5000, 5000, 0],
    [502, 3_600_000, 60_000, 0],
    [504, 400, 400, 0],
  ])("%d that asks for %p ms: %d for the message, %d for all", (code, retryAfterMs, askedMs, holdMs) => {
    const failure = status(code, retryAfterMs);
    const retried = { kind: "retry", failure, delayMs: 1000 } as const;
    expect(decideFor(failure, { retry: RETRY })).toEqual({ ...retried, askedMs });
    expect(holdMsOf(failure, RETRY)).toBe(holdMs);
    const unheeded = decideFor(failure, { retry: RETRY, heedsRetryAfter: false });
    expect(unheeded).toEqual({ ...retried, askedMs: 0 });
  });

  test.each<[string, Outcome, Retry, number]>([
    ["a 503 without retries, a minute at most", status(503, DAY_MS), { kind: "none" }, 60_000],
    ["a 429 without retries, as long as it asks", status(429, 5000), { kind: "none" }, 5000],
    ["a 500: nothing", status(500, 5000), { kind: "none" }, 0],
    ["an exception: nothing", EXCEPTION, RETRY, 0],
    ["a token endpoint that asks", { ...EXCEPTION, retryAfterMs: 5000 }, RETRY, 5000],
    ["what was delivered: nothing", { kind: "delivered", status: 200 }, RETRY, 0],
  ])("holdMsOf() %s", (_what, outcome, retry, expected) => {
    expect(holdMsOf(outcome, retry)).toBe(expected);
  });
});

test("decide() passes chance on to the backoff", () => {
  const action = decideFor(SERVER_ERROR, { retry: RETRY, random: 0.5 });
  expect(action).toEqual({ kind: "retry", failure: SERVER_ERROR, delayMs: 1050, askedMs: 0 });
});
