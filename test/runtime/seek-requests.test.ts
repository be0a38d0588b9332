// Seeks that wait: the newest one is carried out, the others hear why they are not.

import { expect, test } from "bun:test";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { createMoves } from "#runtime/seek-requests.ts";

const ALL: DeliverPolicy = { kind: "all" };
const LAST: DeliverPolicy = { kind: "last" };

test("a move is taken once, and whoever asked hears how it ended", async () => {
  const moves = createMoves();
  const asked = moves.ask(ALL);
  expect(moves.isAsked).toBe(true);
  const move = moves.take();
  expect([move?.start, moves.isAsked, moves.take()]).toEqual([ALL, false, null]);
  move?.done();
  await asked;
  const failing = moves.ask(LAST);
  moves.take()?.failed(new Error("NATS is not connected"));
  expect(failing).rejects.toThrow("NATS is not connected");
});

test("a newer one takes the place of one that waits, and not of one that is carried out", async () => {
  const moves = createMoves();
  const carriedOut = moves.ask(ALL);
  const first = moves.take();
  const waiting = moves.ask(ALL);
  const newest = moves.ask(LAST);
  expect(waiting).rejects.toThrow("Cannot seek: another seek took its place");
  expect(moves.take()?.start).toEqual(LAST);
  first?.done();
  await carriedOut;
  moves.close("it is over");
  void newest.catch(() => undefined);
});

test("once closed, what waits and what comes is refused with the first reason", async () => {
  const moves = createMoves();
  const waiting = moves.ask(ALL);
  moves.close("the subscription was stopped");
  moves.close("another reason");
  expect(waiting).rejects.toThrow("Cannot seek: the subscription was stopped");
  expect(moves.ask(ALL)).rejects.toThrow("Cannot seek: the subscription was stopped");
  expect(moves.take()).toBeNull();
});
