// What a letter carries, header by header, and what it sheds.

import { describe, expect, test } from "bun:test";

import { type DeadLetter, letterHeaderForms, letterSuffix, toDeadLetter } from "#delivery/dead-letter.ts";
import type { Header, Message } from "#delivery/message.ts";
import type { Failure } from "#delivery/outcome.ts";

const MESSAGE: Message = {
  stream: "ORDERS",
  sequence: 42,
  subject: "orders.created",
  timestampNanos: 1_700_000_000_120_000_000n,
  deliveryCount: 3,
  headers: [],
  unreadableHeaders: 0,
  body: new TextEncoder().encode("hello"),
};
const ABOUT = {
  subscription: "billing",
  application: "shop",
  entrypoint: "webhook",
  attempts: 4,
  now: new Date("2024-05-06T07:08:09.010Z"),
};
const REJECTED: Failure = { kind: "rejected", status: 404, retryAfterMs: null };

function exception(error: string): Failure {
  return { kind: "exception", code: "reset", error };
}

function headerOf(letter: DeadLetter, wanted: string): string | undefined {
  return letter.relayHeaders.find(([name]) => name === wanted)?.[1];
}

describe("toDeadLetter()", () => {
  test("carries every header of the contract", () => {
    const headers: Header[] = [["Nats-Msg-Id", "order-42"]];
    const letter = toDeadLetter({ ...MESSAGE, headers }, REJECTED, ABOUT);
    expect(letter.relayHeaders).toEqual([
      ["Relay-Reason", "rejected"],
      ["Relay-Status", "404"],
      ["Relay-Error", "Callback answered 404"],
      ["Relay-Attempts", "4"],
      ["Relay-Subscription", "billing"],
      ["Relay-Application", "shop"],
      ["Relay-Entrypoint", "webhook"],
      ["Relay-Stream", "ORDERS"],
      ["Relay-Sequence", "42"],
      ["Relay-Subject", "orders.created"],
      ["Relay-Time-Stamp", "2023-11-14T22:13:20.12Z"],
      ["Relay-Dead-Lettered-At", "2024-05-06T07:08:09.010Z"],
      ["Relay-Message-Id", "order-42"],
      ["webhook-id", "msg_ORDERS_42_cwyvpeng5szk"],
    ]);
  });

  test.each<[Failure, reason: string, status: string, error: string]>([
    [REJECTED, "rejected", "404", "Callback answered 404"],
    [{ kind: "server-error", status: 503, retryAfterMs: 1 }, "server-error", "503", "Callback answered 503"],
    [exception("Connection reset"), "exception", "0", "Connection reset"],
  ])("%j: %s, %s, %s", (failure, reason, status, error) => {
    const letter = toDeadLetter(MESSAGE, failure, ABOUT);
    expect(headerOf(letter, "Relay-Reason")).toBe(reason);
    expect(headerOf(letter, "Relay-Status")).toBe(status);
    expect(headerOf(letter, "Relay-Error")).toBe(error);
  });

  test("leaves out an application and a message id that are not there", () => {
    const letter = toDeadLetter(MESSAGE, REJECTED, { ...ABOUT, application: null });
    expect(headerOf(letter, "Relay-Application")).toBeUndefined();
    expect(headerOf(letter, "Relay-Message-Id")).toBeUndefined();
  });

  test("copies the message's headers, less those that would steer the server or contradict Relay's", () => {
    const kept: Header[] = [
      ["Content-Type", "text/plain"],
      ["x-tag", "a"],
      ["x-tag", "b"],
      ["X-Nats-Like", "c"],
      ["Natsy", "d"],
      ["relayed", "e"],
      ["x-name", "Zoë 你好"],
    ];
    const dropped: Header[] = [
      ["Nats-Msg-Id", "1"],
      ["nats-expected-stream", "2"],
      ["NATS-Rollup", "all"],
      ["Relay-Status", "200"],
      ["relay-reason", "none"],
      ["Webhook-Id", "3"],
    ];
    const letter = toDeadLetter({ ...MESSAGE, headers: [...dropped, ...kept] }, REJECTED, ABOUT);
    expect(letter.copiedHeaders).toEqual(kept);
  });

  test("finds the original message id whatever its case", () => {
    const letter = toDeadLetter({ ...MESSAGE, headers: [["nats-msg-ID", "x"]] }, REJECTED, ABOUT);
    expect(headerOf(letter, "Relay-Message-Id")).toBe("x");
  });

  test("keeps the very bytes", () => {
    expect(toDeadLetter(MESSAGE, REJECTED, ABOUT).body).toBe(MESSAGE.body);
  });

  test("writes nothing that a NATS header cannot carry", () => {
    const dirty = "a\r\nNats-Rollup: all\u0000\u001b[31mb\u2028c\u0085d\ud800";
    const message: Message = { ...MESSAGE, subject: dirty, headers: [["Nats-Msg-Id", dirty]] };
    const letter = toDeadLetter(message, exception(`${dirty}\n`), {
      ...ABOUT,
      application: dirty,
      entrypoint: dirty,
    });
    const clean = "a Nats-Rollup: all [31mb c d";
    for (const name of ["Error", "Subject", "Message-Id", "Application", "Entrypoint"]) {
      expect(headerOf(letter, `Relay-${name}`)).toBe(clean);
    }
    for (const [, value] of letter.relayHeaders) expect(value).toMatch(/^[^\p{Cc}\p{Cs}]*$/u);
  });

  test("leaves other scripts as they are", () => {
    const letter = toDeadLetter(
      { ...MESSAGE, subject: "bestellung.größe.你好" },
      exception("ungültig 🚀"),
      ABOUT,
    );
    expect(headerOf(letter, "Relay-Subject")).toBe("bestellung.größe.你好");
    expect(headerOf(letter, "Relay-Error")).toBe("ungültig 🚀");
  });

  test("cuts the error, not the subject, and no character in half", () => {
    const subject = "s".repeat(3000);
    const letter = toDeadLetter(
      { ...MESSAGE, subject },
      exception(`${"e".repeat(1023)}🚀${"e".repeat(9)}`),
      ABOUT,
    );
    expect(headerOf(letter, "Relay-Error")).toBe("e".repeat(1023));
    expect(headerOf(letter, "Relay-Subject")).toBe(subject);
  });
});

test("letterSuffix() names subscription, stream, sequence and time", () => {
  expect(letterSuffix("billing", MESSAGE)).toBe("billing.ORDERS.42-cwyvpeng5szk");
  expect(toDeadLetter(MESSAGE, REJECTED, ABOUT).subjectSuffix).toBe(letterSuffix("billing", MESSAGE));
});

test("letterHeaderForms() sheds the copied headers, then the error text, then all", () => {
  const letter = toDeadLetter({ ...MESSAGE, headers: [["x-tag", "a"]] }, REJECTED, ABOUT);
  const names = letterHeaderForms(letter).map((form) => form.map(([name]) => name));
  const own = letter.relayHeaders.map(([name]) => name);
  expect(names).toEqual([["x-tag", ...own], own, own.filter((name) => name !== "Relay-Error"), []]);
  expect(own).toContain("Relay-Error");
});
