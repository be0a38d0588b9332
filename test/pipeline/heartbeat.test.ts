// Renewals, and the end of the lease.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";

import { createHeartbeat, type Heartbeat } from "#pipeline/heartbeat.ts";

interface Watched extends Heartbeat, Disposable {
  /** When each renewal was made, since the start. */
  readonly renewals: number[];
  readonly expiries: number[];
  contactAt: number;
  isHolding: boolean;
}

/** `isInContact`: NATS hears everything at once. */
function start(
  ackWaitMs: number,
  { isInContact, isHolding = true }: { isInContact: boolean; isHolding?: boolean },
): Watched {
  const startedAt = performance.now();
  const since = () => performance.now() - startedAt;
  const state = { renewals: [] as number[], expiries: [] as number[], contactAt: -Infinity, isHolding };
  const heartbeat = createHeartbeat({
    ackWaitMs,
    renew: () => state.renewals.push(since()),
    lastPongAt: () => (isInContact ? performance.now() : state.contactAt),
    isHolding: () => state.isHolding,
    onExpired: () => state.expiries.push(since()),
  });
  if (isHolding) heartbeat.begin();
  return Object.assign(state, heartbeat, { [Symbol.dispose]: heartbeat.stop });
}

describe("createHeartbeat()", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test("renews every third of the ack wait", () => {
    using heartbeat = start(1500, { isInContact: true });
    jest.advanceTimersByTime(1600);
    expect(heartbeat.renewals).toEqual([500, 1000, 1500]);
    expect(heartbeat.isCurrent()).toBe(true);
    expect(heartbeat.expiries).toEqual([]);
  });

  test("is current from its start, without a contact before", () => {
    using heartbeat = start(30_000, { isInContact: false });
    expect(heartbeat.isCurrent()).toBe(true);
  });

  test("ends after two thirds of the ack wait without contact, is told once, and stays ended", () => {
    using heartbeat = start(900, { isInContact: false });
    jest.advanceTimersByTime(599);
    expect(heartbeat.isCurrent()).toBe(true);
    jest.advanceTimersByTime(1);
    expect(heartbeat.isCurrent()).toBe(false);
    jest.advanceTimersByTime(500);
    expect(heartbeat.expiries).toHaveLength(1);
    const renewals = heartbeat.renewals.length;
    heartbeat.contactAt = performance.now();
    expect(heartbeat.isCurrent()).toBe(false);
    jest.advanceTimersByTime(2000);
    expect(heartbeat.expiries).toHaveLength(1);
    expect(heartbeat.renewals).toHaveLength(renewals);
  });

  // Each end was logged, and followed by a new start: without NATS the log grew although nothing was at stake.
  test("does not end while nothing is held that another relay could take over, however long the silence", () => {
    using heartbeat = start(300, { isInContact: false, isHolding: false });
    jest.advanceTimersByTime(3_600_000);
    expect(heartbeat.expiries).toEqual([]);
    expect(heartbeat.isCurrent()).toBe(false);
    heartbeat.isHolding = true;
    heartbeat.begin();
    jest.advanceTimersByTime(3_600_000);
    expect(heartbeat.expiries).toHaveLength(1);
  });

  test("is current again when NATS is back and nothing was held meanwhile", () => {
    using heartbeat = start(300, { isInContact: false, isHolding: false });
    jest.advanceTimersByTime(60_000);
    expect(heartbeat.isCurrent()).toBe(false);
    heartbeat.contactAt = performance.now();
    expect(heartbeat.isCurrent()).toBe(true);
    expect(heartbeat.expiries).toEqual([]);
  });

  test("lasts for two thirds of the ack wait from the last contact on", () => {
    using heartbeat = start(3000, { isInContact: false });
    jest.advanceTimersByTime(500);
    heartbeat.contactAt = performance.now();
    jest.advanceTimersByTime(1999);
    expect(heartbeat.isCurrent()).toBe(true);
    jest.advanceTimersByTime(1);
    expect(heartbeat.isCurrent()).toBe(false);
  });

  test("renews at once when a lost contact is back", () => {
    using heartbeat = start(30_000, { isInContact: false });
    jest.advanceTimersByTime(1000);
    heartbeat.contactAt = performance.now();
    jest.advanceTimersByTime(1600);
    expect(heartbeat.renewals).toEqual([]);
    heartbeat.contactAt = performance.now();
    jest.advanceTimersByTime(600);
    expect(heartbeat.renewals).toHaveLength(1);
  });

  test("rests while nothing is held, and renews again from the next message on", () => {
    using heartbeat = start(1500, { isInContact: true });
    heartbeat.isHolding = false;
    jest.advanceTimersByTime(60_000);
    expect(heartbeat.renewals).toEqual([500]);
    expect(jest.getTimerCount()).toBe(0);
    heartbeat.isHolding = true;
    heartbeat.begin();
    jest.advanceTimersByTime(600);
    expect(heartbeat.renewals).toHaveLength(2);
    expect(heartbeat.expiries).toEqual([]);
  });

  test("stop() ends renewals and checks", () => {
    const heartbeat = start(150, { isInContact: false });
    heartbeat.stop();
    jest.advanceTimersByTime(60_000);
    expect(heartbeat.renewals).toEqual([]);
    expect(heartbeat.expiries).toEqual([]);
  });
});
