// When the messages of an ordered subscription may be sent: once all that is unacknowledged is held, in order, by key.

import { describe, expect, test } from "bun:test";

import { createWindow, type Window, type WindowMessage, type WindowOptions } from "#pipeline/window.ts";

const AT = new Date(0);

type Held = WindowMessage<string>;

function createLab(options: Partial<WindowOptions<string>> = {}) {
  const forgotten: number[] = [];
  const window = createWindow<string>({
    messages: 64,
    bytes: 1000,
    places: 1,
    preparesAhead: false,
    gathers: true,
    onForgotten: ({ sequence }) => void forgotten.push(sequence),
    ...options,
  });
  let consumerSequence = 0;
  const deliver = (sequence: number, { key = "", bytes = 1, skips = 0, time = 0, isNew = false } = {}) => {
    consumerSequence += 1 + skips;
    const timestampNanos = BigInt(time);
    const value = `${sequence} as ${consumerSequence}`;
    const deliveryCount = isNew ? 1 : 2;
    return window.hold({ consumerSequence, sequence, timestampNanos, deliveryCount, key, bytes, value })
      .message;
  };
  const count = (ackPending: number, at = consumerSequence) =>
    window.count({ consumerSequence: at, ackPending }).map(({ sequence }) => sequence);
  /** All that it asks back comes again. */
  const settle = (ackPending: number) => {
    for (const sequence of count(ackPending)) deliver(sequence);
  };
  const deliverAll = (keys: Readonly<Record<number, string>>) =>
    Object.entries(keys).map(([sequence, key]) => deliver(Number(sequence), { key }));
  return { window, deliver, deliverAll, count, settle, forgotten };
}

/** One that has nothing yet, and everything that there is. */
function createCurrent(options: Partial<WindowOptions<string>> = {}) {
  const lab = createLab(options);
  lab.settle(0);
  return lab;
}

function nextAll(window: Window<string>): number[] {
  const sent: number[] = [];
  for (let message = window.next(); message !== null; message = window.next()) sent.push(message.sequence);
  return sent;
}

function sendNext(window: Window<string>): Held {
  const message = window.next();
  if (message === null) throw new Error("Nothing may be sent");
  return message;
}

function end(window: Window<string>, message: Held): void {
  window.complete(message, { isDelivered: true });
}

describe("gathering", () => {
  test("asks for nothing before the server was asked what is out, and is over at once if nothing is", () => {
    const { window, count } = createLab();
    expect([window.state, window.room().messages]).toEqual(["gathering", 0]);
    expect(count(0)).toEqual([]);
    expect([window.state, window.room().messages]).toEqual(["current", 64]);
  });

  test("sends nothing until all that the server counts is held, and has come again after it was counted", () => {
    const { window, deliver, count } = createLab();
    count(2);
    deliver(2);
    expect([count(2), window.next()]).toEqual([[], null]);
    deliver(1);
    expect([count(2), window.state, window.next()]).toEqual([[2, 1], "asking-back", null]);
    deliver(1);
    expect(window.next()).toBeNull();
    deliver(2);
    expect([window.state, sendNext(window).sequence]).toEqual(["current", 1]);
  });

  test("what another relay acknowledged meanwhile does not stand for a message that is still out", () => {
    const { window, deliver, count } = createLab();
    count(2);
    deliver(1);
    // It was acknowledged by who had it before; what is counted is 2, which is still there.
    expect([count(1), window.next()]).toEqual([[1], null]);
    expect([count(1), count(1), window.next()]).toEqual([[], [1], null]);
    deliver(2);
    expect([count(1), count(1), window.size]).toEqual([[], [], 1]);
    expect(count(1)).toEqual([2]);
    deliver(2);
    expect(sendNext(window).sequence).toBe(2);
  });

  test("holds more than the window, if so many are out", () => {
    const { window, deliver, count } = createLab({ messages: 2 });
    count(3);
    expect(window.room().messages).toBe(3);
    deliver(1);
    deliver(2);
    count(3);
    expect(window.room().messages).toBe(1);
    deliver(3);
    expect(count(3)).toEqual([1, 2, 3]);
    expect(window.room().messages).toBe(3);
    for (const sequence of [1, 2, 3]) deliver(sequence);
    expect([window.state, window.size, window.room().messages]).toEqual(["current", 3, 0]);
  });

  test("an answer from before the last delivery counts for nothing", () => {
    const { window, deliver, count } = createLab();
    count(1);
    deliver(1);
    deliver(2);
    expect([count(2, 1), window.state]).toEqual([[], "gathering"]);
  });

  test("what was delivered to somebody else is not waited for once it is acknowledged", () => {
    const { window, deliver, count } = createLab();
    count(1);
    deliver(1);
    expect([count(1, 5), count(1, 5)]).toEqual([[], [1]]);
    deliver(1, { skips: 4 });
    expect(window.state).toBe("current");
  });

  test("what was deleted from the stream, or forgotten by the server, is not held for ever", () => {
    const { window, deliver, settle, count } = createCurrent();
    deliver(1);
    deliver(2);
    window.regather();
    expect(count(1)).toEqual([1, 2]);
    deliver(2);
    expect([count(1), count(1)]).toEqual([[], []]);
    settle(1);
    expect([window.state, nextAll(window)]).toEqual(["current", [2]]);
  });

  test("what a server delivers as new, for it has forgotten that it did, proves nothing", () => {
    const { window, deliver, settle, count } = createLab();
    count(1);
    deliver(2);
    window.regather();
    // It counts 1, which another relay has.
    expect(count(1)).toEqual([2]);
    deliver(2, { isNew: true });
    expect([window.state, count(2)]).toEqual(["gathering", []]);
    deliver(1);
    settle(2);
    expect(nextAll(window)).toEqual([1]);
  });

  test("one that ends while it is asked back proves nothing", () => {
    const { window, deliver, count } = createCurrent();
    const first = (deliver(1), sendNext(window));
    deliver(2);
    window.regather();
    expect(count(2)).toEqual([1, 2]);
    deliver(2);
    end(window, first);
    expect(window.state).toBe("gathering");
    expect(count(1)).toEqual([2]);
  });

  test.each([1, -2])("a consumer sequence that jumps by %d begins it anew", (skips) => {
    const { window, deliver, count } = createCurrent();
    for (const sequence of [1, 2, 3]) deliver(sequence);
    deliver(4, { skips });
    expect([window.state, window.next(), count(5)]).toEqual(["gathering", null, []]);
  });

  test("a delivery that was done before moves the consumer sequence on, and a gap before it counts", () => {
    const { window } = createLab();
    window.count({ consumerSequence: 7, ackPending: 0 });
    window.pass(8);
    expect(window.state).toBe("current");
    window.pass(10);
    expect(window.state).toBe("gathering");
  });

  test("regather() while one is in flight sends nothing else, also by another key", () => {
    const { window, deliverAll, count } = createCurrent({ places: 5 });
    deliverAll({ 1: "a", 2: "b" });
    const first = sendNext(window);
    window.regather();
    expect([window.next(), window.room().messages]).toEqual([null, 0]);
    end(window, first);
    expect([window.next(), count(1)]).toEqual([null, [2]]);
  });

  test("drop() of one of unknown fate begins it: it may come again", () => {
    const { window, deliver } = createCurrent({ preparesAhead: true });
    deliver(1);
    deliver(2);
    const first = window.prepare() as Held;
    window.drop(first);
    expect([window.state, window.prepare(), window.size]).toEqual(["gathering", null, 1]);
  });
});

describe("strict order", () => {
  test("sends the lowest sequence, one at a time, whatever the keys of the places", () => {
    const { window, deliver } = createCurrent({ places: 20 });
    for (const sequence of [3, 1, 2]) deliver(sequence);
    const sent: number[] = [];
    for (let message = window.next(); message !== null; message = window.next()) {
      sent.push(message.sequence);
      expect(window.next()).toBeNull();
      end(window, message);
    }
    expect(sent).toEqual([1, 2, 3]);
  });

  test("a message that waits for its retry holds all others; a redelivery replaces only its value", () => {
    const { window, deliver } = createCurrent();
    const message = (deliver(1), deliver(2), sendNext(window));
    window.retry(message);
    deliver(1);
    expect([window.next(), message.value, window.inFlight]).toEqual([null, "1 as 3", 0]);
    window.due(message);
    expect(sendNext(window)).toBe(message);
  });
});

describe("order by key", () => {
  test("sends the lowest of each key that has nothing in flight, up to the places", () => {
    const { window, deliverAll } = createCurrent({ places: 3 });
    deliverAll({ 1: "a", 2: "a", 3: "b", 4: "c", 5: "d", 6: "b" });
    expect(nextAll(window)).toEqual([1, 3, 4]);
    window.resize({ messages: 64, bytes: 1000, places: 4 });
    expect(nextAll(window)).toEqual([5]);
  });

  test("a message that waits for its retry holds its key and nothing else, not even a place", () => {
    const { window, deliverAll } = createCurrent({ places: 1 });
    deliverAll({ 1: "a", 2: "a", 3: "b" });
    const first = sendNext(window);
    window.retry(first);
    const other = sendNext(window);
    expect([other.sequence, nextAll(window)]).toEqual([3, []]);
    window.due(first);
    end(window, other);
    expect(nextAll(window)).toEqual([1]);
  });

  test("goes on with the next of the key when one has left", () => {
    const { window, deliverAll } = createCurrent({ places: 2 });
    deliverAll({ 1: "a", 2: "b", 3: "a", 4: "b" });
    const [one, two] = [sendNext(window), sendNext(window)];
    end(window, two);
    expect(nextAll(window)).toEqual([4]);
    end(window, one);
    expect(nextAll(window)).toEqual([3]);
  });
});

describe("parked keys", () => {
  const CAUSE = { cause: "Callback answered 422", at: AT };

  test("hold their messages, which are listed, and let the others pass", () => {
    const { window, deliverAll } = createCurrent({ places: 1 });
    deliverAll({ 1: "a", 2: "a", 3: "b" });
    window.park(sendNext(window), CAUSE);
    expect(nextAll(window)).toEqual([3]);
    expect(window.parked()).toEqual([
      { key: "a", since: AT, cause: CAUSE.cause, sequence: 1, messages: 2, failures: 1, nextTryAt: null },
    ]);
    window.resumesAt("a", new Date(40));
    expect(window.parked()).toMatchObject([{ nextTryAt: new Date(40) }]);
    window.resume("a");
    expect(window.parked()).toMatchObject([{ nextTryAt: null }]);
  });

  test("resume() sends the first as a probe: delivered, the key goes on; failed, it is parked as before", () => {
    const { window, deliverAll } = createCurrent({ places: 1 });
    deliverAll({ 1: "a", 2: "a" });
    window.park(sendNext(window), CAUSE);
    expect([window.resume("b"), window.resume("a")]).toEqual([false, true]);
    window.park(sendNext(window), { cause: "again", at: new Date(5) });
    expect(window.parked()).toMatchObject([{ since: AT, cause: "again", failures: 2, messages: 2 }]);
    window.resume("a");
    end(window, sendNext(window));
    expect([window.parked(), nextAll(window)]).toEqual([[], [2]]);
  });

  test("skip() takes the first out, and the next is the probe", () => {
    const { window, deliverAll } = createCurrent();
    deliverAll({ 1: "a", 2: "a" });
    window.park(sendNext(window), CAUSE);
    expect([window.skip("a")?.sequence, window.skip("b")]).toEqual([1, null]);
    window.resume("a");
    expect([window.skip("a")?.sequence, window.parked(), window.size]).toEqual([2, [], 0]);
  });

  test("fill half of the window by number or by size, also by what comes later", () => {
    const { window, deliver } = createCurrent({ messages: 6 });
    const park = () => window.park(sendNext(window), CAUSE);
    deliver(1, { key: "a" });
    park();
    deliver(2, { key: "a" });
    deliver(3, { key: "b" });
    expect(window.isHalfParked).toBe(false);
    deliver(4, { key: "a" });
    expect(window.isHalfParked).toBe(true);
    window.skip("a");
    expect(window.isHalfParked).toBe(false);
    deliver(5, { key: "a", bytes: 500 });
    expect(window.isHalfParked).toBe(true);
  });

  test("a key whose message was acknowledged before is parked with the rest, or not at all", () => {
    const { window, deliverAll } = createCurrent({ preparesAhead: true });
    deliverAll({ 1: "a", 2: "a" });
    for (const sequence of [1, 2]) {
      const message = window.prepare() as Held;
      expect(message.sequence).toBe(sequence);
      window.acknowledged(message);
      window.prepared(message);
      window.park(sendNext(window), CAUSE);
      expect(window.parked()).toMatchObject(sequence === 1 ? [{ sequence: 2, messages: 1 }] : []);
      window.resume("a");
    }
    expect(window.size).toBe(0);
  });
});

describe("preparing ahead", () => {
  const prepareNext = (window: Window<string>) => {
    const message = window.prepare();
    if (message === null) return null;
    window.acknowledged(message);
    window.prepared(message);
    return message.sequence;
  };

  test("one at most is prepared while one is in flight, and sent after it", () => {
    const { window, deliver } = createCurrent({ preparesAhead: true });
    for (const sequence of [1, 2, 3]) deliver(sequence);
    expect([prepareNext(window), window.prepare()]).toEqual([1, null]);
    const first = sendNext(window);
    expect([prepareNext(window), window.prepare(), window.next()]).toEqual([2, null, null]);
    end(window, first);
    expect([sendNext(window).sequence, prepareNext(window)]).toEqual([2, 3]);
  });

  test("by key one for each place, in order of the key", () => {
    const { window, deliverAll } = createCurrent({ preparesAhead: true, places: 2 });
    deliverAll({ 1: "a", 2: "a", 3: "b", 4: "c" });
    expect([prepareNext(window), prepareNext(window), prepareNext(window)]).toEqual([1, 3, null]);
    expect(nextAll(window)).toEqual([1, 3]);
    expect([prepareNext(window), prepareNext(window), prepareNext(window)]).toEqual([2, 4, null]);
  });

  test("what comes late and goes first is prepared at once, though as many are ahead as may be", () => {
    const { window, deliver } = createCurrent({ preparesAhead: true });
    deliver(5);
    expect(prepareNext(window)).toBe(5);
    deliver(4);
    expect([window.next(), prepareNext(window), sendNext(window).sequence]).toEqual([null, 4, 4]);
  });

  test("one whose preparation failed waits for its retry, and those behind it with it", () => {
    const { window, deliver } = createCurrent({ preparesAhead: true });
    for (const sequence of [1, 2, 3]) deliver(sequence);
    prepareNext(window);
    const first = sendNext(window);
    const second = window.prepare() as Held;
    window.retry(second);
    end(window, first);
    expect([window.prepare(), window.next()]).toEqual([null, null]);
    window.due(second);
    expect(window.prepare()).toBe(second);
  });

  test("what is prepared is not the server's: it is not counted, and not asked back", () => {
    const { window, deliver, count } = createCurrent({ preparesAhead: true });
    deliver(1);
    deliver(2);
    prepareNext(window);
    window.regather();
    expect(count(1)).toEqual([2]);
    deliver(2);
    expect(sendNext(window).sequence).toBe(1);
  });
});

describe("bounds", () => {
  test("room() is what the window has left, in messages and bytes, whatever becomes of them", () => {
    const { window, deliver } = createCurrent({ messages: 3, bytes: 100 });
    deliver(1, { bytes: 60 });
    const first = sendNext(window);
    deliver(2, { bytes: 70 });
    expect([window.room(), window.room(6)]).toEqual([
      { messages: 0, bytes: 0 },
      { messages: 0, bytes: 0 },
    ]);
    end(window, first);
    expect(window.room()).toEqual({ messages: 2, bytes: 30 });
    expect(window.room(6)).toEqual({ messages: 5, bytes: 30 });
  });

  test("a message of a stream made anew takes the place of the one with its sequence", () => {
    const { window, deliver } = createCurrent();
    const former = (deliver(1), sendNext(window));
    const latter = deliver(1, { time: 5 });
    expect([latter.state, window.size, window.next()]).toEqual(["queued", 1, null]);
    end(window, former);
    expect(sendNext(window)).toBe(latter);
  });
});

describe("illegal transitions throw", () => {
  const cases: [string, (window: Window<string>, message: Held) => void][] = [
    ["the same ends twice", (window, message) => (end(window, message), end(window, message))],
    ["one is due that does not wait", (window, message) => window.due(message)],
    ["one is prepared that was not to be", (window, message) => window.prepared(message)],
    ["one is acknowledged that is not prepared", (window, message) => window.acknowledged(message)],
    ["one is parked that was not sent", (window, message) => window.park(message, { cause: "", at: AT })],
    ["one is retried that was not sent", (window, message) => window.retry(message)],
  ];
  test.each(cases)("%s", (_, act) => {
    const { window, deliver } = createCurrent();
    const message = deliver(1);
    expect(() => act(window, message)).toThrow("Message 1 is ");
  });
});

test("a window of 1,000 costs a few microseconds for each message", () => {
  const { window, deliver } = createCurrent({ messages: 1000, bytes: 1e9, places: 20 });
  const COUNT = 100_000;
  const before = process.cpuUsage();
  for (let sequence = 1; sequence <= COUNT; sequence += 1) {
    deliver(sequence, { key: `key-${sequence % 300}` });
    if (window.size < 1000) continue;
    const message = window.next();
    if (message !== null) end(window, message);
  }
  const { user, system } = process.cpuUsage(before);
  const microseconds = (user + system) / COUNT;
  console.log(`${microseconds.toFixed(2)} µs for each message`);
  expect(microseconds).toBeLessThan(50);
});
