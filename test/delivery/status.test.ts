// The states of a subscription: what each command, failure and recovery makes of each of them, and how they are kept.

import { describe, expect, test } from "bun:test";
import {
  applyCommand,
  type Command,
  fail,
  type FailureCause,
  formatStatus,
  initialStatus,
  type MessageRef,
  parseDeclared,
  parseStatus,
  recover,
  type SubscriptionStatus,
} from "#delivery/status.ts";

const MESSAGE: MessageRef = { stream: "ORDERS", sequence: 7, timestampNanos: 1_700_000_000_123_456_789n };
const CAUSE: FailureCause = {
  text: "Callback answered 500",
  at: new Date(1_700_000_000_000),
  message: MESSAGE,
};

const STARTED = initialStatus("ACCEPTED");
const PAUSED = initialStatus("PAUSED");
const STOPPED: SubscriptionStatus = { ...STARTED, consumerStatus: "STOPPED" };
const FAILED: SubscriptionStatus = { ...STARTED, consumerStatus: "FAILURE", failure: CAUSE };
const PAUSED_FAILED: SubscriptionStatus = { ...FAILED, status: "PAUSED" };
const PAUSED_STOPPED: SubscriptionStatus = { ...STOPPED, status: "PAUSED" };
const SKIPPING: SubscriptionStatus = { ...STARTED, skip: MESSAGE };

const PAUSE: Command = { kind: "pause" };
const RESUME: Command = { kind: "resume", skip: false };
const SKIP: Command = { kind: "resume", skip: true };
const STOP: Command = { kind: "stop" };
const START: Command = { kind: "start" };

describe("applyCommand()", () => {
  test.each([
    ["pauses what runs", STARTED, PAUSE, PAUSED],
    ["keeps a FAILURE through a pause", FAILED, PAUSE, PAUSED_FAILED],
    ["keeps STOPPED through a pause", STOPPED, PAUSE, PAUSED_STOPPED],
    ["resumes what is paused", PAUSED, RESUME, STARTED],
    ["ends a pause and a FAILURE by one resume", PAUSED_FAILED, RESUME, STARTED],
    ["ends a FAILURE by resume", FAILED, RESUME, STARTED],
    ["leaves to its consumer what that stopped", PAUSED_STOPPED, RESUME, STOPPED],
    ["remembers what is to be skipped", FAILED, SKIP, SKIPPING],
    ["stops what runs", STARTED, STOP, STOPPED],
    ["stops what failed, and forgets why it did", FAILED, STOP, STOPPED],
    ["stops what is paused", PAUSED, STOP, PAUSED_STOPPED],
    ["starts what is stopped", STOPPED, START, STARTED],
    ["ends a FAILURE by start", FAILED, START, STARTED],
    ["leaves to its operator what that paused", PAUSED_FAILED, START, PAUSED],
  ])("%s", (_what, from, command, to) => {
    expect(applyCommand(from, command)).toEqual(to);
  });

  test.each([
    ["pause", PAUSED, PAUSE],
    ["resume", STARTED, RESUME],
    ["resume of what is stopped", STOPPED, RESUME],
    ["skip without a failure", STARTED, SKIP],
    ["skip of what is skipped", SKIPPING, SKIP],
    ["stop", STOPPED, STOP],
    ["start", STARTED, START],
  ])("returns the same object where nothing changes: %s", (_what, from, command) => {
    expect(applyCommand(from, command)).toBe(from);
  });

  test("skips nothing where no single message failed", () => {
    const from = { ...FAILED, failure: { ...CAUSE, message: null } };
    expect(applyCommand(from, SKIP)).toEqual(STARTED);
  });
});

describe("fail() and recover()", () => {
  test("a failure is FAILURE with its cause, paused or not; the newest cause counts", () => {
    expect(fail(STARTED, CAUSE)).toEqual(FAILED);
    expect(fail(PAUSED, CAUSE)).toEqual(PAUSED_FAILED);
    const later = { ...CAUSE, at: new Date(CAUSE.at.getTime() + 1000) };
    expect(fail(FAILED, later).failure).toBe(later);
  });

  test("a failure changes nothing where it is STOPPED, or where its cause is to be skipped", () => {
    expect(fail(STOPPED, CAUSE)).toBe(STOPPED);
    expect(fail(SKIPPING, { ...CAUSE })).toBe(SKIPPING);
    const other = { ...CAUSE, message: { ...MESSAGE, timestampNanos: MESSAGE.timestampNanos + 1n } };
    expect(fail(SKIPPING, other)).toMatchObject({ consumerStatus: "FAILURE", skip: MESSAGE });
  });

  test("recovery ends a FAILURE, and nothing else", () => {
    expect(recover(FAILED)).toEqual(STARTED);
    expect(recover(PAUSED_FAILED)).toEqual(PAUSED);
    for (const status of [STARTED, PAUSED, STOPPED]) expect(recover(status)).toBe(status);
  });
});

describe("formatStatus() and parseStatus()", () => {
  const EMPTY = { operator: null, consumer: null, failure: null, skip: null };

  test.each([STARTED, PAUSED, STOPPED, FAILED, PAUSED_FAILED, PAUSED_STOPPED, SKIPPING])(
    "keep it as it is (%#)",
    (status) => {
      expect(parseStatus(formatStatus(status, "ACCEPTED"), "ACCEPTED")).toEqual(status);
    },
  );

  test("what is not kept is as the definition says", () => {
    expect(parseStatus(EMPTY, "PAUSED")).toEqual(PAUSED);
    expect(parseStatus(EMPTY, "ACCEPTED")).toEqual(STARTED);
    expect(parseDeclared(EMPTY)).toBeNull();
    expect(parseDeclared(formatStatus(STARTED, "PAUSED"))).toBe("PAUSED");
  });

  test("what one relay stops while another one fails is STOPPED", () => {
    const kept = {
      ...formatStatus(FAILED, "ACCEPTED"),
      consumer: formatStatus(STOPPED, "ACCEPTED").consumer,
    };
    expect(parseStatus(kept, "ACCEPTED")).toEqual(STOPPED);
  });

  test.each([
    "",
    "{",
    "[]",
    "7",
    '"PAUSED"',
    '{"status":"RUNNING"}',
    '{"text":1}',
    '{"sequence":"1"}',
    "null",
  ])("what cannot be read counts as not kept: %s", (text) => {
    const kept = { operator: text, consumer: text, failure: text, skip: text };
    expect(parseStatus(kept, "PAUSED")).toEqual(PAUSED);
  });

  test("a cause with a time or a message that cannot be read is a cause yet", () => {
    const failure = JSON.stringify({ text: "Broken", at: "yesterday", message: { stream: "ORDERS" } });
    expect(parseStatus({ ...EMPTY, failure }, "ACCEPTED").failure).toEqual({
      text: "Broken",
      at: new Date(0),
      message: null,
    });
  });
});
