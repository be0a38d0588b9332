// What is read out of an entry of a dead-letter stream: letters, letters that lost their headers, things of others.

import { describe, expect, test } from "bun:test";
import { toDeadLetter } from "#delivery/dead-letter.ts";
import {
  type LetterEntry,
  EVERY_LETTER,
  isPast,
  type Letter,
  type LetterFilter,
  meetsFilter,
  parseStatusFilter,
  type StoredLetter,
  toEntry,
} from "#delivery/letter.ts";
import { parseLetterId, parseLetterSuffix, toForeignId, toLetterId } from "#delivery/letter-id.ts";
import type { Header, Message } from "#delivery/message.ts";

const ENDPOINT = { name: "letters", subject: "dlq" };
const STORED_AT = 1_795_264_318_886_954_695n;
const MESSAGE: Message = {
  stream: "ORDERS",
  sequence: 17,
  subject: "orders.new",
  timestampNanos: 1_795_264_000_123_456_789n,
  deliveryCount: 1,
  headers: [],
  unreadableHeaders: 0,
  body: new Uint8Array(0),
};

function storedAs(subject: string, headers: readonly Header[] = []): StoredLetter {
  return { domain: null, stream: "DLQ", sequence: 5, subject, storedAtNanos: STORED_AT, headers, size: 9 };
}

function letterOf(headers: readonly Header[] = []): Letter {
  const entry = toEntry(storedAs("dlq.billing.ORDERS.17-dmvz3bbp5hxp", headers), ENDPOINT, true);
  if (entry.kind === "foreign") throw new Error("It is no letter");
  return entry;
}

describe("toEntry()", () => {
  test("toEntry() reads what toDeadLetter() wrote", () => {
    const written = toDeadLetter(
      MESSAGE,
      { kind: "server-error", status: 503, retryAfterMs: null },
      {
        subscription: "billing",
        application: "shop",
        entrypoint: "webhook",
        attempts: 4,
        now: new Date("2026-11-21T10:00:00.000Z"),
      },
    );
    const entry = toEntry(storedAs(`dlq.${written.subjectSuffix}`, written.relayHeaders), ENDPOINT, true);
    expect(entry).toEqual({
      kind: "letter",
      id: written.subjectSuffix,
      endpoint: "letters",
      position: 5,
      storedAtNanos: STORED_AT,
      date: new Date("2026-11-21T10:00:00.000Z"),
      size: 9,
      subjectSuffix: written.subjectSuffix,
      subscription: "billing",
      stream: "ORDERS",
      sequence: 17,
      timestampNanos: MESSAGE.timestampNanos,
      subject: "orders.new",
      entrypoint: "webhook",
      application: "shop",
      reason: "server-error",
      status: 503,
      error: "Callback answered 503",
      attempts: 4,
      replays: 0,
    });
  });

  test("toEntry() takes a letter without any headers for one", () => {
    expect(letterOf()).toMatchObject({
      subscription: "billing",
      sequence: 17,
      reason: null,
      status: null,
      subject: null,
      replays: 0,
      date: new Date(Number(STORED_AT / 1_000_000n)),
    });
  });

  test.each([
    ["Relay-Reason", "odd", { reason: null }],
    ["Relay-Status", "4x4", { status: null }],
    ["Relay-Attempts", "-1", { attempts: null }],
    ["Relay-Replays", "3", { replays: 3 }],
    ["relay-status", "404", { status: 404 }],
    ["Relay-Dead-Lettered-At", "yesterday", { date: new Date(Number(STORED_AT / 1_000_000n)) }],
    ["Relay-Error", "e".repeat(2000), { error: "e".repeat(1024) }],
    ["Relay-Subscription", "another", { subscription: "billing" }],
  ])("toEntry() reads %s: %s", (name, value, expected) => {
    expect(letterOf([[name, value]])).toMatchObject(expected);
  });

  test.each([
    "dlq.other",
    "dlq.billing.ORDERS.17",
    "dlq.billing.ORDERS.x-abc",
    "dlq.bil ling.ORDERS.17-abc",
    "dlq.a.billing.ORDERS.17-abc",
    "dlq.billing.ORDERS.17-ABC",
  ])("toEntry() takes %s for something of others, with its place", (subject) => {
    expect(toEntry(storedAs(subject, [["Relay-Reason", "rejected"]]), ENDPOINT, true)).toEqual({
      kind: "foreign",
      id: `@DLQ.5-${STORED_AT.toString(36)}`,
      endpoint: "letters",
      position: 5,
      storedAtNanos: STORED_AT,
      date: new Date(Number(STORED_AT / 1_000_000n)),
      size: 9,
      subject,
    });
  });
});

describe("parseLetterId()", () => {
  test.each([
    "billing.ORDERS.17-abc",
    "a_b-c.ORDERS+1.1-0",
    "sub.Ürdérs.3-z",
    "sub.a~b.3-z",
    "s.a/b?c#d.9-1",
  ])("parseLetterId() gives back %s, which goes into a URL as it is", (subjectSuffix) => {
    const id = toLetterId(subjectSuffix);
    expect(id).toMatch(/^[A-Za-z0-9._~-]+$/);
    expect(parseLetterId(id)).toEqual({ kind: "letter", subjectSuffix });
  });

  test("parseLetterId() gives back the place of something of others", () => {
    for (const place of [
      { domain: null, stream: "DLQ", sequence: 5, storedAtNanos: STORED_AT },
      { domain: "edge.1", stream: "Ü", sequence: 1, storedAtNanos: 0n },
    ]) {
      expect(parseLetterId(toForeignId(place))).toEqual({ kind: "foreign", ...place });
    }
  });

  test.each([
    "",
    "x",
    "a.b.c",
    "a.*.1-a",
    "a.>.1-a",
    "a.~2A.1-a",
    "a.~FF.1-a",
    "@",
    "@DLQ.5",
    "@~ZZ.1-a",
    "a.b.1-a\n",
  ])("parseLetterId() knows no %j", (id) => {
    expect(parseLetterId(id)).toBeNull();
  });

  test("parseLetterSuffix() reads times of any length", () => {
    expect(parseLetterSuffix(`s.S.1-${STORED_AT.toString(36)}`)?.timestampNanos).toBe(STORED_AT);
    expect(parseLetterSuffix(`s.S.1-${"z".repeat(14)}`)).toBeNull();
  });
});

describe("meetsFilter()", () => {
  const letter = letterOf([
    ["Relay-Reason", "rejected"],
    ["Relay-Status", "404"],
    ["Relay-Error", "Callback answered 404"],
    ["Relay-Application", "shop"],
    ["Relay-Entrypoint", "webhook"],
    ["Relay-Dead-Lettered-At", "2026-11-21T10:00:00.000Z"],
  ]);
  const foreign: LetterEntry = toEntry(storedAs("dlq.other"), ENDPOINT, true);

  test.each<[Partial<LetterFilter>, boolean]>([
    [{}, true],
    [{ subscription: ["billing"] }, true],
    [{ subscription: ["bill"] }, false],
    [{ subscription: ["bill", "billing"], reason: ["exception", "rejected"] }, true],
    [{ error: ["timeout", "answered 404"] }, true],
    [{ entrypoint: ["webhook"] }, true],
    [{ entrypoint: ["other"] }, false],
    [{ application: ["shop"] }, true],
    [{ application: ["Shop"] }, false],
    [{ reason: ["rejected"] }, true],
    [{ reason: ["exception"] }, false],
    [{ status: [{ kind: "exact", status: 404 }] }, true],
    [{ status: [{ kind: "exact", status: 0 }] }, false],
    [{ status: [{ kind: "class", hundreds: 4 }] }, true],
    [{ status: [{ kind: "class", hundreds: 5 }] }, false],
    [{ error: ["ANSWERED"] }, true],
    [{ error: ["timeout"] }, false],
    [{ from: new Date("2026-11-21T10:00:00.000Z") }, true],
    [{ from: new Date("2026-11-21T10:00:00.001Z") }, false],
    [{ to: new Date("2026-11-21T10:00:00.000Z") }, false],
    [{ to: new Date("2026-11-21T10:00:00.001Z") }, true],
    [{ subscription: ["billing"], reason: ["exception"] }, false],
  ])("meetsFilter() holds a letter against %o: %p", (changes, isMet) => {
    expect(meetsFilter(letter, { ...EVERY_LETTER, ...changes })).toBe(isMet);
  });

  test("meetsFilter() finds things of others by their time only", () => {
    expect(meetsFilter(foreign, EVERY_LETTER)).toBe(true);
    expect(meetsFilter(foreign, { ...EVERY_LETTER, from: new Date(0) })).toBe(true);
    expect(meetsFilter(foreign, { ...EVERY_LETTER, to: new Date(0) })).toBe(false);
    expect(meetsFilter(foreign, { ...EVERY_LETTER, error: [""] })).toBe(false);
  });

  test("meetsFilter() finds no letter without headers by what they would say", () => {
    expect(meetsFilter(letterOf(), { ...EVERY_LETTER, status: [{ kind: "exact", status: 0 }] })).toBe(false);
    expect(meetsFilter(letterOf(), { ...EVERY_LETTER, reason: ["exception"] })).toBe(false);
  });

  test("isPast() allows for clocks that differ", () => {
    const nanosOf = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;
    const filter = { ...EVERY_LETTER, from: new Date("2026-11-21T10:00:00Z") };
    expect(isPast(nanosOf("2026-11-21T09:54:59Z"), filter)).toBe(true);
    expect(isPast(nanosOf("2026-11-21T09:56:00Z"), filter)).toBe(false);
    expect(isPast(0n, EVERY_LETTER)).toBe(false);
  });

  test.each([
    ["404", { kind: "exact", status: 404 }],
    ["0", { kind: "exact", status: 0 }],
    ["4xx", { kind: "class", hundreds: 4 }],
    ["5XX", { kind: "class", hundreds: 5 }],
    ["44", null],
    ["4x4", null],
    ["", null],
  ] as const)("parseStatusFilter() reads %j", (text, expected) => {
    expect(parseStatusFilter(text)).toEqual(expected);
  });
});
