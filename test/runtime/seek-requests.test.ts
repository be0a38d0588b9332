// The queue of seek requests: the newest one runs, the others reject with the reason.

import { expect, test } from "bun:test";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { createSeekRequests } from "#runtime/seek-requests.ts";

const ALL: DeliverPolicy = { kind: "all" };
const LAST: DeliverPolicy = { kind: "last" };

test("take() gives a request once, and ask() settles with its result", async () => {
  const requests = createSeekRequests();
  const asked = requests.ask(ALL);
  expect(requests.isAsked).toBe(true);
  const move = requests.take();
  expect([move?.start, requests.isAsked, requests.take()]).toEqual([ALL, false, null]);
  move?.done();
  await asked;
  const failing = requests.ask(LAST);
  requests.take()?.failed(new Error("NATS is not connected"));
  expect(failing).rejects.toThrow("NATS is not connected");
});

test("ask() replaces a request that waits, not one that runs", async () => {
  const requests = createSeekRequests();
  const carriedOut = requests.ask(ALL);
  const first = requests.take();
  const waiting = requests.ask(ALL);
  const newest = requests.ask(LAST);
  expect(waiting).rejects.toThrow("Cannot seek: a newer seek replaced it");
  expect(requests.take()?.start).toEqual(LAST);
  first?.done();
  await carriedOut;
  requests.close("it is over");
  void newest.catch(() => undefined);
});

test("close() refuses waiting and later requests with the first reason", async () => {
  const requests = createSeekRequests();
  const waiting = requests.ask(ALL);
  requests.close("the subscription was stopped");
  requests.close("another reason");
  expect(waiting).rejects.toThrow("Cannot seek: the subscription was stopped");
  expect(requests.ask(ALL)).rejects.toThrow("Cannot seek: the subscription was stopped");
  expect(requests.take()).toBeNull();
});
