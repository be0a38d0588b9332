// Renewals, and the end of the lease.

import { describe, expect, test } from "bun:test";

import { type Heartbeat, startHeartbeat } from "#pipeline/heartbeat.ts";

import { eventually } from "../support/eventually.ts";

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
  const heartbeat = startHeartbeat({
    ackWaitMs,
    renew: () => state.renewals.push(since()),
    lastContactAt: () => (isInContact ? performance.now() : state.contactAt),
    isHolding: () => state.isHolding,
    onExpired: () => state.expiries.push(since()),
  });
  return Object.assign(state, heartbeat, { [Symbol.dispose]: heartbeat.stop });
}

describe("startHeartbeat()", () => {
  test("renews every third of the ack wait", async () => {
    using heartbeat = start(1500, { isInContact: true });
    await eventually(() => heartbeat.renewals.length >= 2);
    const [first = 0, second = 0] = heartbeat.renewals;
    expect(first).toBeGreaterThan(490);
    expect(first).toBeLessThan(740);
    expect(second).toBeGreaterThan(990);
    expect(heartbeat.isCurrent()).toBe(true);
    expect(heartbeat.expiries).toEqual([]);
  });

  test("is current from its start, without a contact before", () => {
    using heartbeat = start(30_000, { isInContact: false });
    expect(heartbeat.isCurrent()).toBe(true);
  });

  test("ends after two thirds of the ack wait without contact, is told once, and stays ended", async () => {
    using heartbeat = start(900, { isInContact: false });
    await eventually(() => !heartbeat.isCurrent());
    await eventually(() => heartbeat.expiries.length > 0);
    expect(heartbeat.expiries[0]).toBeGreaterThan(590);
    expect(heartbeat.expiries[0]).toBeLessThan(2000);
    const renewals = heartbeat.renewals.length;
    const later = performance.now() + 700;
    heartbeat.contactAt = later;
    expect(heartbeat.isCurrent()).toBe(false);
    await eventually(() => performance.now() > later);
    expect(heartbeat.expiries).toHaveLength(1);
    expect(heartbeat.renewals).toHaveLength(renewals);
  });

  // Each end was logged, and followed by a new start: without NATS the log grew although nothing was at stake.
  test("does not end while nothing is held that another relay could take over, however long the silence", async () => {
    using heartbeat = start(300, { isInContact: false, isHolding: false });
    await eventually(() => !heartbeat.isCurrent());
    const later = performance.now() + 1200;
    await eventually(() => performance.now() > later);
    expect(heartbeat.expiries).toEqual([]);
    expect(heartbeat.isCurrent()).toBe(false);
    heartbeat.isHolding = true;
    await eventually(() => heartbeat.expiries.length > 0, { withinMs: 2000 });
    expect(heartbeat.expiries).toHaveLength(1);
  });

  test("is current again when NATS is back and nothing was held meanwhile", async () => {
    using heartbeat = start(300, { isInContact: false, isHolding: false });
    await eventually(() => !heartbeat.isCurrent());
    heartbeat.contactAt = performance.now() + 10_000;
    expect(heartbeat.isCurrent()).toBe(true);
    expect(heartbeat.expiries).toEqual([]);
  });

  test("lasts for two thirds of the ack wait from the last contact on", async () => {
    using heartbeat = start(3000, { isInContact: false });
    heartbeat.contactAt = performance.now() + 500;
    await eventually(() => !heartbeat.isCurrent());
    expect(performance.now()).toBeGreaterThan(heartbeat.contactAt + 1990);
    expect(performance.now()).toBeLessThan(heartbeat.contactAt + 2700);
  });

  test("renews at once when a lost contact is back", async () => {
    using heartbeat = start(30_000, { isInContact: false });
    const startedAt = performance.now();
    heartbeat.contactAt = startedAt + 1000;
    await eventually(() => performance.now() > startedAt + 700);
    expect(heartbeat.renewals).toEqual([]);
    heartbeat.contactAt = startedAt + 2600;
    await eventually(() => heartbeat.renewals.length > 0, { withinMs: 2000 });
    expect(heartbeat.renewals).toHaveLength(1);
  });

  test("stop() ends renewals and checks", async () => {
    const heartbeat = start(150, { isInContact: false });
    heartbeat.stop();
    const later = performance.now() + 700;
    await eventually(() => performance.now() > later);
    expect(heartbeat.renewals).toEqual([]);
    expect(heartbeat.expiries).toEqual([]);
  });
});
