// The words to systemd over the life of a relay, in their order.

import { expect, test } from "bun:test";
import { startServiceLife } from "#cli/service-life.ts";
import type { Notify } from "#systemd/notify.ts";
import { openNotify } from "#systemd/notify.ts";
import { eventually } from "../support/eventually.ts";
import { openNotifySocket } from "../support/notify-socket.ts";

let names = 0;

function open() {
  names += 1;
  const name = `@relay-life-${process.pid}-${names}`;
  const socket = openNotifySocket(name);
  const notify: Notify = openNotify({ NOTIFY_SOCKET: name });
  return { socket, notify };
}

test("startServiceLife() tells ready, reloading and ready again, stopping", async () => {
  const { socket, notify } = open();
  using stack = new DisposableStack();
  stack.use(socket);
  const life = startServiceLife({ notify, watchdogMs: null, isMoving: () => true });
  stack.defer(life.close);
  life.ready(() => "Ready");
  await Promise.all([
    life.reload(20_000, () => Promise.resolve()),
    life.reload(20_000, () => Promise.reject(new Error("refused"))).catch(() => undefined),
  ]);
  life.stopping(20_000);
  expect(socket.received()).toEqual([
    { STATUS: "Starting" },
    { READY: "1", STATUS: "Ready" },
    {
      RELOADING: "1",
      MONOTONIC_USEC: expect.stringMatching(/^\d{6,}$/) as string,
      EXTEND_TIMEOUT_USEC: "35000000",
    },
    { READY: "1", STATUS: "Ready" },
    { STOPPING: "1", STATUS: "Draining", EXTEND_TIMEOUT_USEC: "35000000" },
  ]);
});

test("startServiceLife() says READY only when told, though a reload ends before", async () => {
  const { socket, notify } = open();
  using stack = new DisposableStack();
  stack.use(socket);
  const life = startServiceLife({ notify, watchdogMs: null, isMoving: () => true });
  stack.defer(life.close);
  await life.reload(0, () => Promise.resolve());
  expect(socket.received()).toEqual([{ STATUS: "Starting" }]);
});

test("startServiceLife() feeds the watchdog while it gets on, and not a moment longer", async () => {
  const { socket, notify } = open();
  using stack = new DisposableStack();
  stack.use(socket);
  let isMoving = true;
  const life = startServiceLife({ notify, watchdogMs: 10, isMoving: () => isMoving });
  stack.defer(life.close);
  const feeds = () => socket.received().filter(({ WATCHDOG }) => WATCHDOG === "1").length;
  await eventually(() => feeds() >= 3);
  isMoving = false;
  const before = feeds();
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 10);
  stack.defer(() => clearInterval(timer));
  await eventually(() => turns >= 5);
  expect(feeds()).toBe(before);
});
