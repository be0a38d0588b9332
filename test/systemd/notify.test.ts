// What reaches systemd's socket, and what happens where there is none.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { watchdogIntervalMs, openNotify } from "#systemd/notify.ts";
import { openNotifySocket } from "../support/notify-socket.ts";
import { temporaryDirectory } from "../support/relay.ts";

test("openNotify() sends the fields of a state in one datagram, to a path", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "notify");
  using socket = openNotifySocket(path);
  const notify = openNotify({ NOTIFY_SOCKET: path });
  expect(notify.send({ READY: 1, STATUS: "two\n lines" })).toBe(true);
  expect(notify.send({ WATCHDOG: 1 })).toBe(true);
  expect(socket.received()).toEqual([{ READY: "1", STATUS: "two lines" }, { WATCHDOG: "1" }]);
  notify.close();
});

test("openNotify() sends to a name without a file", () => {
  const name = `@relay-test-${process.pid}`;
  using socket = openNotifySocket(name);
  const notify = openNotify({ NOTIFY_SOCKET: name });
  notify.send({ STOPPING: 1 });
  expect(socket.received()).toEqual([{ STOPPING: "1" }]);
  notify.close();
});

test("openNotify() does not wait for a reader that sleeps, save for a change of state, and not for long", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "notify");
  using socket = openNotifySocket(path);
  const notify = openNotify({ NOTIFY_SOCKET: path });
  let sent = 0;
  while (sent < 10_000 && notify.send({ WATCHDOG: 1 })) sent += 1;
  expect(sent).toBeLessThan(10_000);
  const startedAt = performance.now();
  expect(notify.send({ READY: 1 })).toBe(false);
  const waitedMs = performance.now() - startedAt;
  expect(waitedMs).toBeGreaterThan(50);
  expect(waitedMs).toBeLessThan(10_000);
  expect(socket.received().length).toBe(sent);
  notify.close();
});

test("openNotify() is silent without a socket, and says why it cannot be reached", () => {
  expect(openNotify({})).toMatchObject({ fault: null });
  expect(openNotify({}).send({ READY: 1 })).toBe(false);
  expect(openNotify({ NOTIFY_SOCKET: "vsock:2:1" }).fault).toStartWith("Cannot notify systemd: ");
  expect(openNotify({ NOTIFY_SOCKET: `/${"a".repeat(108)}` }).fault).toContain("107 bytes");
});

test("monotonicMicros() is the clock of the host, not of the process", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "notify");
  using socket = openNotifySocket(path);
  const notify = openNotify({ NOTIFY_SOCKET: path });
  const uptime = Number((await Bun.file("/proc/uptime").text()).split(" ")[0]);
  expect(Math.abs(Number(notify.monotonicMicros()) / 1e6 - uptime)).toBeLessThan(60);
  expect(socket.received()).toEqual([]);
  notify.close();
});

test.each([
  [{}, null],
  [{ WATCHDOG_USEC: "30000000" }, 10_000],
  [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 10_000],
  [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, null],
  [{ WATCHDOG_USEC: "nonsense" }, null],
  [{ WATCHDOG_USEC: "0" }, null],
])("watchdogIntervalMs() of %j is %p", (env, expected) => {
  expect(watchdogIntervalMs(env, { pid: 7 })).toBe(expected);
});
