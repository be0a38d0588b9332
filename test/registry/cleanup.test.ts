// The mark of a deletion, as another relay sees it: it counts for as long as it says, whatever the clocks of the hosts say.

import { afterEach, expect, setSystemTime, test } from "bun:test";
import { type Cleanup, createCleanup } from "#registry/cleanup.ts";
import { openTestBucket, WITHIN_A_SECOND } from "../bucket/buckets.ts";
import { eventually } from "../support/eventually.ts";
import { connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";

const HOUR_MS = 3_600_000;

afterEach(() => {
  setSystemTime();
});

async function start(url: string, { graceMs }: { graceMs: number }) {
  await using owned = new AsyncDisposableStack();
  const connection = owned.use(await connected(url));
  const bucket = owned.use(openTestBucket(connection));
  const closing = new AbortController();
  owned.defer(() => closing.abort());
  const cleanup: Cleanup = createCleanup({
    connection,
    bucket,
    runtime: () => ({ find: () => null, wanted: () => null }),
    guardPath: () => "/dev/null/none",
    graceMs: () => graceMs,
    logger: connection.logger,
    signal: closing.signal,
  });
  await bucket.ready(AbortSignal.timeout(5000));
  const moved = owned.move();
  return { cleanup, bucket, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

test.each([5, -5])(
  "isUnderWay() of a deletion by a relay whose clock is %d h off, until it ends",
  async (hours) => {
    await using server = await startNatsServer();
    await using one = await start(server.url, { graceMs: 1000 });
    await using other = await start(server.url, { graceMs: 1000 });
    setSystemTime(Date.now() + hours * HOUR_MS);
    one.cleanup.begin("billing");
    setSystemTime();
    await eventually(() => other.cleanup.isUnderWay("billing"), WITHIN_A_SECOND);
    // Nor does it matter when this host's clock is set.
    setSystemTime(Date.now() + 10 * HOUR_MS);
    expect(other.cleanup.isUnderWay("billing")).toBe(true);
    one.cleanup.end("billing");
    await eventually(() => !other.cleanup.isUnderWay("billing"), WITHIN_A_SECOND);
  },
);

test("isUnderWay() of a relay that died ends when its mark has been seen for as long as it says, and the mark goes", async () => {
  await using server = await startNatsServer();
  await using one = await start(server.url, { graceMs: -14_500 });
  await using other = await start(server.url, { graceMs: 1000 });
  one.cleanup.begin("billing");
  await eventually(() => other.cleanup.isUnderWay("billing"), WITHIN_A_SECOND);
  await eventually(() => !other.cleanup.isUnderWay("billing"), { withinMs: 5000 });
  await eventually(() => other.bucket.list("deleting.").length === 0, WITHIN_A_SECOND);
});
