// What goes back to the stream, and in which order.

import { expect, test } from "bun:test";

import type { Held } from "#pipeline/settle.ts";
import { createReturns, type Returns } from "#pipeline/returns.ts";

/** A message whose nak is written down in `naks`. */
function held(sequence: number, naks: number[], isRedeliverable = true): Held {
  const never = () => {
    throw new Error("Not what gives a message back");
  };
  return {
    received: {
      message: {
        stream: "ORDERS",
        sequence,
        subject: "orders",
        timestampNanos: 0n,
        deliveryCount: 1,
        headers: [],
        unreadableHeaders: 0,
        body: new Uint8Array(),
      },
      ack: never,
      confirmAck: never,
      nak: () => naks.push(sequence),
      working: never,
      pending: 0,
      bytes: 0,
      consumerSequence: 1,
    },
    attempts: 0,
    isRedeliverable,
    mayHaveLetter: false,
    postponements: 0,
    trace: null,
  };
}

function create({ cause = null, canReturn = true }: { cause?: Held | null; canReturn?: boolean }): Returns {
  return createReturns({ cause: () => cause, canReturn: () => canReturn });
}

test("flush() gives back the cause first, then the others in the order of the stream", () => {
  const naks: number[] = [];
  const cause = held(12, naks);
  const returns = create({ cause });
  for (const each of [held(100, naks), held(9, naks), cause, held(11, naks)]) returns.add(each);
  expect(naks).toEqual([]);
  returns.flush();
  expect(naks).toEqual([12, 9, 11, 100]);
  expect(returns.count).toBe(4);
});

test("add() gives back at once after a flush", () => {
  const naks: number[] = [];
  const returns = create({});
  returns.flush();
  returns.add(held(5, naks));
  returns.add(held(4, naks));
  expect(naks).toEqual([5, 4]);
});

test("flush() gives nothing back twice", () => {
  const naks: number[] = [];
  const returns = create({});
  returns.add(held(5, naks));
  returns.flush();
  returns.flush();
  expect(naks).toEqual([5]);
});

test("createReturns() returns no message that would not be redelivered", () => {
  const naks: number[] = [];
  const returns = create({});
  returns.add(held(5, naks, false));
  returns.flush();
  returns.add(held(6, naks, false));
  expect(naks).toEqual([]);
});

test("createReturns() returns nothing once another relay may hold it", () => {
  const naks: number[] = [];
  let canReturn = true;
  const returns = createReturns({ cause: () => null, canReturn: () => canReturn });
  returns.add(held(5, naks));
  canReturn = false;
  returns.flush();
  returns.add(held(6, naks));
  expect(naks).toEqual([]);
  expect(returns.count).toBe(0);
});
