// Which acks are repeated: those that no ping has confirmed.

import { expect, test } from "bun:test";

import { type AckLedger, createAckLedger } from "#nats/ack-ledger.ts";

function repeated(ledger: AckLedger): readonly string[] {
  return [...ledger.unconfirmed()];
}

function add(ledger: AckLedger, ...acks: readonly string[]): void {
  for (const ack of acks) ledger.add(ack);
}

test("createAckLedger() keeps acks that were sent after the mark, or not at all", () => {
  const ledger = createAckLedger();
  add(ledger, "a", "b");
  ledger.markSent();
  const mark = ledger.mark();
  add(ledger, "c");
  expect(ledger.mark()).toBe(mark);
  ledger.markSent();
  add(ledger, "d");
  ledger.confirm(mark);
  expect(repeated(ledger)).toEqual(["c", "d"]);
  ledger.confirm(ledger.mark());
  expect(repeated(ledger)).toEqual(["d"]);
  ledger.confirm(mark);
  expect(repeated(ledger)).toEqual(["d"]);
});

test("createAckLedger() drops the oldest acks above its limit, and still confirms the right ones", () => {
  const ledger = createAckLedger(10);
  add(ledger, ...Array.from({ length: 11 }, (_, index) => String(index + 1)));
  expect(repeated(ledger)).toEqual(["2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]);
  ledger.markSent();
  add(ledger, "12");
  ledger.confirm(ledger.mark());
  expect(repeated(ledger)).toEqual(["12"]);
  expect(ledger.size).toBe(1);
});

test("createAckLedger() confirms nothing twice by a mark older than the dropped acks", () => {
  const ledger = createAckLedger(10);
  add(ledger, "1", "2");
  ledger.markSent();
  const mark = ledger.mark();
  add(ledger, ...Array.from({ length: 11 }, (_, index) => String(index + 3)));
  ledger.confirm(mark);
  expect(repeated(ledger)[0]).toBe("4");
});
