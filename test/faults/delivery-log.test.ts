// The delivery log where its disk fails it: deliveries go on, it is said, and what was written before stays whole.

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statfsSync } from "node:fs";
import { mkdir, rmdir } from "node:fs/promises";
import { apiOf, deliveries, LOG_ALL, setUpLog } from "../support/delivery-log.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";

/** No file may get larger than this: a write beyond it fails as on a full disk. */
const FULL_DISK = ["bash", "-c", `trap '' XFSZ; ulimit -f 200; exec "$@"`, "bash"];
const BODIES = { enabled: true, request: { payload: true } };

test("a full disk stops no delivery, is shown, and is warned of once", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start(
    { entrypoint: { ...LOG_ALL, logging: BODIES } },
    { wrapper: FULL_DISK },
  );
  for (let index = 0; index < 60; index += 1) await setup.publish(`${index} ${"x".repeat(8000)}`);
  await eventually(() => setup.receiver.requests.length === 60);
  const api = await apiOf(relay);
  const fault = await eventually(async () => {
    const { body } = await api("GET", "/api/status");
    return body.deliveryLog.faults > 1 && body.deliveryLog.fault;
  });
  expect(fault).toBeString();
  expect(await readMetric(relay, "relay_delivery_log_usable")).toBe(0);
  expect(await readMetric(relay, "relay_delivery_log_faults_total")).toBeGreaterThan(1);
  expect((await api("GET", "/readyz")).status).toBe(200);
  expect((await api("GET", "/api/deliveries")).status).toBe(503);
  await setup.publish("one more");
  await eventually(() => setup.receiver.requests.length === 61);
  expect(relay.logs.filter(({ message }) => message === "Delivery log cannot be used")).toHaveLength(1);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
});

const MIB = 1024 * 1024;
/** A disk of 4 MiB in the place of the state directory. */
const SMALL_DISK = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'];

test("a small disk is not filled by the log: AT_MOST_ONCE goes on, and the newest are recorded", async () => {
  await using setup = await setUpLog();
  const state = `${setup.directory}/.relay`;
  await mkdir(state);
  await using relay = await setup.start(
    { qos: "AT_MOST_ONCE", entrypoint: { ...LOG_ALL, logging: BODIES } },
    { wrapper: [...SMALL_DISK, state] },
  );
  await relay.logged("Consuming");
  for (let index = 0; index < 800; index += 1) await setup.publish(`${index} ${"x".repeat(8000)}`);
  await eventually(() => setup.receiver.requests.length === 800, { withinMs: 30_000 });
  const api = await apiOf(relay);
  const newest = await eventually(async () => {
    const { body } = await api("GET", "/api/deliveries?limit=1000");
    const records: readonly { id: string }[] = body.items;
    const { body: whole } = await api("GET", `/api/deliveries/${records[0]?.id}`);
    return JSON.stringify(whole).includes("799 xxx") && records;
  });
  expect(newest.length).toBeGreaterThan(20);
  const disk = `/proc/${relay.pid}/root${state}`;
  const freeBytes = () => {
    const { bsize, bavail } = statfsSync(disk);
    return bsize * bavail;
  };
  expect(freeBytes()).toBeGreaterThanOrEqual(MIB);
  expect(await readMetric(relay, "relay_delivery_log_dropped_total")).toBe(0);
  const complaints = relay.logs.filter(({ message }) => /^(?:Delivery log|Subscription)/u.test(message));
  expect(complaints).toEqual([]);
  // Something else takes nearly all of the rest: the log gives room back.
  const taken = Math.floor(freeBytes() / 4096) - 75;
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${disk}/other`, "bs=4k", `count=${taken}`]);
  expect(freeBytes()).toBeLessThan(0.4 * MIB);
  await eventually(() => freeBytes() >= 0.9 * MIB, { withinMs: 30_000 });
  await setup.publish("last");
  await eventually(() => setup.receiver.names("/sub").includes("last"));
}, 120_000);

test("a log that cannot be opened is used as soon as it can, and has lost nothing by then", async () => {
  await using setup = await setUpLog();
  const path = `${setup.directory}/.relay/delivery-log.db`;
  await mkdir(path, { recursive: true });
  await using relay = await setup.start();
  await setup.publish("while it is broken");
  await relay.logged("Delivery log cannot be used");
  await eventually(() => setup.receiver.requests.length === 1);
  await rmdir(path);
  await relay.logged("Delivery log is usable again");
  expect(await deliveries(await apiOf(relay), 1)).toHaveLength(1);
  expect(await readMetric(relay, "relay_delivery_log_dropped_total")).toBe(0);
});

test("a relay killed while it writes leaves a whole file, which the next one goes on with", async () => {
  await using setup = await setUpLog();
  const path = `${setup.directory}/.relay/delivery-log.db`;
  await using killed = await setup.start({ entrypoint: { ...LOG_ALL, logging: BODIES } });
  const publishing = Promise.all(Array.from({ length: 1500 }, (_, index) => setup.publish(`first ${index}`)));
  const before = await deliveries(await apiOf(killed), 100);
  killed.signal("SIGKILL");
  await killed.exited;
  await publishing;
  {
    using database = new Database(path);
    expect(database.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  }
  const restartedAt = Date.now();
  await using relay = await setup.start({ entrypoint: { ...LOG_ALL, logging: BODIES } });
  const api = await apiOf(relay);
  await setup.publish("after");
  const newest = await eventually(async () => {
    const records = await deliveries(api, 1, `&from=${new Date(restartedAt).toISOString()}`);
    return records[0];
  });
  expect(Number(newest.id)).toBeGreaterThan(Number(before[0].id));
  for (const { id } of before.slice(0, 3))
    expect((await api("GET", `/api/deliveries/${id}`)).status).toBe(200);
  expect(relay.logs.filter(({ message }) => message.startsWith("Delivery log"))).toEqual([]);
});
