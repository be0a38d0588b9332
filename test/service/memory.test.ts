// A burst does not make the service grow: 50,000 messages of 1 KB for a slow callback, in 128 MB.

import { describe, expect, test } from "bun:test";
import { dirname } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startPrivateSystemd, whyNoMemoryLimit } from "../support/private-systemd.ts";
import { BINARY } from "../support/relay.ts";

const MESSAGES = 50_000;
const LIMIT_BYTES = 128 * 1024 * 1024;
const PUBLISHED_AT_ONCE = 1000;
const CALLBACK_MS = 3;
const why = whyNoMemoryLimit();

describe.skipIf(why !== null)(`in a cgroup of 128 MB${why === null ? "" : ` (skipped: ${why})`}`, () => {
  test("a burst of 50,000 messages is delivered, and nothing is killed", async () => {
    await using stack = new AsyncDisposableStack();
    const nats = stack.use(await startNatsServer());
    const client = await nats.connect();
    await addStream(client);
    const received = new Set<string>();
    const receiver = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        received.add((await request.text()).split(" ")[0] ?? "");
        await Bun.sleep(CALLBACK_MS);
        return new Response();
      },
    });
    stack.defer(() => receiver.stop(true));
    const systemd = stack.use(await startPrivateSystemd({ shared: dirname(BINARY) }));
    await systemd.must("/lab/relay service install && mkdir -p /etc/systemd/system/relay.service.d");
    await systemd.write("/etc/systemd/system/relay.service.d/memory.conf", "[Service]\nMemoryMax=128M\n");
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: receiver.url.href,
      entrypoint: { http: { maxConcurrentConnections: 20 } },
    });
    await systemd.write(
      "/etc/relay/relay.config.json",
      JSON.stringify({ ...config, server: { listen: null } }),
    );
    const filler = "x".repeat(1024);
    for (let i = 1; i <= MESSAGES; i += 1) {
      client.publish("orders.a", `${i} ${filler}`);
      if (i % PUBLISHED_AT_ONCE === 0) await client.flush();
    }
    await systemd.must("systemctl daemon-reload && systemctl start relay");
    const limit = Number(await systemd.show("MemoryMax"));
    expect(limit).toBe(LIMIT_BYTES);
    await eventually(() => received.size === MESSAGES, { what: "every message", withinMs: 60_000 });
    expect([await systemd.show("NRestarts"), await systemd.show("Result")]).toEqual(["0", "success"]);
    const used = Number(await systemd.show("MemoryCurrent"));
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThanOrEqual(LIMIT_BYTES);
  }, 90_000);
});
