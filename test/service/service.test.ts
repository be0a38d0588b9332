// The life of the service under a real systemd: installed, started, reloaded, hung, killed, filled up, stopped, uninstalled.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dirname } from "node:path";
import { type ConfigOptions, RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type PrivateSystemd, startPrivateSystemd, whyNoSystemd } from "../support/private-systemd.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { BINARY } from "../support/relay.ts";

const CONFIG = "/etc/relay/relay.config.json";
const WORST_EXPOSURE = 1.5;
const PATIENT_RETRY = { ...RETRY_ON_FAIL, maxAttempts: 100, maxDelaySeconds: 1 };
const why = whyNoSystemd();

describe.skipIf(why !== null)(`under a systemd of its own${why === null ? "" : ` (skipped: ${why})`}`, () => {
  const stack = new AsyncDisposableStack();
  let systemd: PrivateSystemd;
  let nats: NatsServer;
  let receiver: Receiver;

  beforeAll(async () => {
    nats = stack.use(await startNatsServer());
    await addStream(await nats.connect());
    receiver = stack.use(await startReceiver());
    systemd = stack.use(await startPrivateSystemd({ shared: dirname(BINARY) }));
  });
  afterAll(() => stack.disposeAsync());

  function configText(more: Readonly<Record<string, unknown>> = {}): string {
    return toText({ callbackUrl: { credential: "relay_callback" } as unknown as string }, more);
  }

  function toText(own: Partial<ConfigOptions>, more: Readonly<Record<string, unknown>> = {}): string {
    const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, ...own });
    return JSON.stringify({ ...config, server: { listen: null }, ...more });
  }

  const statusText = () => systemd.show("StatusText");
  const untilStatus = (pattern: RegExp) =>
    eventually(async () => pattern.test(await statusText()), { what: `status ${pattern}` });
  const received = () => new Set(receiver.requests.map(({ body }) => body.toString()));

  async function publish(count: number, name: string): Promise<void> {
    const client = await nats.connect();
    for (let i = 1; i <= count; i += 1) client.publish("orders.a", `${name}-${i}`);
    await client.flush();
  }

  async function untilDelivered(count: number, name: string): Promise<void> {
    const wanted = Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
    const hasAll = () => new Set(wanted).isSubsetOf(received());
    await eventually(hasAll, { what: `all of ${name}`, withinMs: 25_000 });
  }

  async function dropIn(name: string, setting: string): Promise<void> {
    const directory = "/etc/systemd/system/relay.service.d";
    await systemd.must(`mkdir -p ${directory}`);
    await systemd.write(`${directory}/${name}.conf`, `[Service]\n${setting}\n`);
    await systemd.must("systemctl daemon-reload");
  }

  /** The service, started with a state directory that is full; stopped at the end. */
  async function withFullState(run: () => Promise<void>): Promise<void> {
    const state = "/var/lib/private/relay";
    await systemd.must(
      `systemctl stop relay && mkdir -p ${state} && mount -t tmpfs -o size=64k tmpfs ${state} &&
       (cat /dev/zero > ${state}/filler || true) 2>/dev/null; systemctl start relay`,
    );
    await run();
    expect(await systemd.must(`df --output=avail ${state} | tail -1`)).toBe("0");
    await systemd.must(`systemctl stop relay && umount ${state}`);
  }

  test("install puts everything in its place, and does it once", async () => {
    expect(await systemd.must("/lab/relay service install --dry-run")).toContain("Would: Write the unit");
    expect((await systemd.run("test -e /etc/systemd/system/relay.service")).exitCode).toBe(1);
    await systemd.must("/lab/relay service install");
    const again = await systemd.must("/lab/relay service install");
    expect(again).toBe("Nothing to do: it is installed");
    expect(await systemd.must(`stat -c '%a %U:%G' ${CONFIG} /etc/relay /etc/relay/credentials`)).toBe(
      "640 root:relay-config\n750 root:relay-config\n700 root:root",
    );
    expect(await systemd.must("systemctl is-enabled relay")).toBe("enabled");
  });

  test("the unit is right, and as locked up as it should be", async () => {
    const unit = "/etc/systemd/system/relay.service";
    expect(await systemd.run(`systemd-analyze verify ${unit}`)).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "",
    });
    const report = await systemd.must(`systemd-analyze security --no-pager --offline=true ${unit} | tail -1`);
    const score = Number(/level for relay\.service: ([\d.]+)/.exec(report)?.[1]);
    expect(score).toBeLessThanOrEqual(WORST_EXPOSURE);
  });

  test("a first config with a fault ends it with 78, and it is not started again", async () => {
    await systemd.write(CONFIG, '{ "endpoint": [] }');
    expect((await systemd.run("systemctl start relay")).exitCode).toBe(1);
    await eventually(async () => (await systemd.show("ActiveState")) === "failed");
    expect(await systemd.show("ExecMainStatus")).toBe("78");
    expect(await systemd.show("NRestarts")).toBe("0");
    const errors = await systemd.must("journalctl -u relay -p err -o cat --no-pager");
    expect(errors).toContain("endpoint");
  });

  test("it is started when it is connected, with a credential, and tells how it is", async () => {
    await systemd.must(`printf ${receiver.url.href} > /etc/relay/credentials/callback`);
    await systemd.write(CONFIG, configText());
    await systemd.must("systemctl start relay");
    expect(await systemd.show("ActiveState")).toBe("active");
    await untilStatus(/^Ready; 1 running$/);
    await publish(3, "first");
    await untilDelivered(3, "first");
    expect(await systemd.must("stat -c %a /run/relay/relay.sock")).toBe("660");
    // It did not replace itself: the unit gives it what it would replace itself for.
    const log = await systemd.must("journalctl -u relay -o cat -p info --no-pager");
    expect(log).toContain("Relay runs");
    // It sees the addresses of the host, which subscriptions made by API may not call.
    expect(log).not.toContain("Cannot read the addresses of this host");
  });

  test("reload says yes to a good config, no to a bad one, and goes on with the one before", async () => {
    await systemd.write(CONFIG, configText({ logs: { level: "debug" } }));
    await systemd.must("systemctl reload relay");
    await systemd.write(CONFIG, configText({ nonsense: true }));
    const refused = await systemd.run("systemctl reload relay");
    expect(refused.exitCode).toBe(1);
    expect(await systemd.show("ActiveState")).toBe("active");
    await untilStatus(/^Ready; 1 running; config refused: .*nonsense/);
    const priorities = await systemd.must("journalctl -u relay -p err -o cat --no-pager");
    expect(priorities).toContain("Config refused, the running one stays active");
    await publish(3, "refused");
    await untilDelivered(3, "refused");
  });

  test("an edit is taken by itself, in place and renamed over", async () => {
    await systemd.write(CONFIG, configText({ subscriptions: [] }));
    await untilStatus(/^Ready; no subscriptions$/);
    await systemd.write("/etc/relay/.new", configText());
    await systemd.must(
      `chgrp relay-config /etc/relay/.new && chmod 640 /etc/relay/.new && mv /etc/relay/.new ${CONFIG}`,
    );
    await untilStatus(/^Ready; 1 running$/);
  });

  test("a credential that was replaced counts after a restart, not after a reload", async () => {
    const pathsOf = (name: string) =>
      receiver.requests.filter(({ body }) => body.toString().startsWith(name)).map(({ path }) => path);
    const before = receiver.url.pathname;
    await systemd.must(
      `printf ${new URL("/rotated", receiver.url).href} > /etc/relay/credentials/callback && systemctl reload relay`,
    );
    await publish(1, "reloaded");
    await untilDelivered(1, "reloaded");
    await systemd.must("systemctl restart relay");
    await publish(1, "restarted");
    await untilDelivered(1, "restarted");
    expect([pathsOf("reloaded"), pathsOf("restarted")]).toEqual([[before], ["/rotated"]]);
  });

  test("installed again over another unit, that one is replaced and the service restarted", async () => {
    const before = await systemd.show("MainPID");
    await systemd.must("echo '# older' >> /etc/systemd/system/relay.service");
    expect(await systemd.must("/lab/relay service install")).toBe(
      "Write the unit, /etc/systemd/system/relay.service\nRestart the service that runs",
    );
    expect(await systemd.show("MainPID")).not.toBe(before);
    await untilStatus(/^Ready; 1 running$/);
  });

  test("killed, it is there again", async () => {
    await dropIn("restart", "RestartSec=200ms");
    const before = await systemd.show("MainPID");
    await systemd.must(`kill -9 ${before}`);
    await eventually(async () => !["0", before].includes(await systemd.show("MainPID")));
    await publish(3, "killed");
    await untilDelivered(3, "killed");
    expect(await systemd.show("NRestarts")).toBe("1");
  });

  test("hung, it is restarted by the watchdog", async () => {
    await dropIn("watchdog", "WatchdogSec=2");
    await systemd.must("systemctl restart relay");
    const before = await systemd.show("MainPID");
    await untilStatus(/^Ready/);
    await systemd.must(`kill -STOP ${before}`);
    await publish(3, "hung");
    await untilDelivered(3, "hung");
    expect(await systemd.show("MainPID")).not.toBe(before);
    expect(await systemd.must("journalctl -u relay -o cat --no-pager")).toContain("Watchdog timeout");
  });

  test("stopped under load, it drains and loses nothing", async () => {
    receiver.respond(async () => {
      await Bun.sleep(5);
      return 200;
    });
    await publish(1000, "load");
    await eventually(() => received().has("load-20"));
    await systemd.must("systemctl stop relay");
    expect([await systemd.show("Result"), await systemd.show("ExecMainStatus")]).toEqual(["success", "0"]);
    const before = receiver.requests.length;
    expect(received().has("load-1000")).toBe(false);
    await systemd.must("systemctl start relay");
    await untilDelivered(1000, "load");
    const loads = receiver.requests.filter(({ body }) => body.toString().startsWith("load-"));
    expect(before).toBeGreaterThan(0);
    expect(loads.length).toBe(1000);
    receiver.respond(() => 200);
  });

  test.each(["AUTO", "AT_LEAST_ONCE"] as const)(
    "with no room for its state it goes on delivering under %s",
    async (qos) => {
      await systemd.write(CONFIG, toText({ qos }));
      await withFullState(async () => {
        await publish(20, `full-${qos}`);
        await untilDelivered(20, `full-${qos}`);
        expect(await systemd.show("ActiveState")).toBe("active");
      });
    },
  );

  test("with no room for its state it sends nothing under AT_MOST_ONCE, and says why", async () => {
    await systemd.write(CONFIG, toText({ qos: "AT_MOST_ONCE" }));
    await withFullState(async () => {
      await publish(1, "once");
      await untilStatus(/1 waiting/);
      expect(received().has("once-1")).toBe(false);
      const log = await systemd.must("journalctl -u relay -o cat --no-pager");
      expect(log).toContain("Cannot open the journal");
    });
    await systemd.must("systemctl start relay");
    await untilDelivered(1, "once");
  });

  test("a name that does not resolve is tried until it does, and a changed address is followed", async () => {
    const callbackUrl = `http://callback.test:${receiver.port}/`;
    await systemd.write(
      CONFIG,
      toText({ callbackUrl, subscription: { retry: PATIENT_RETRY }, more: { logs: { level: "debug" } } }),
    );
    await systemd.must("systemctl restart relay");
    await publish(1, "unnamed");
    await eventually(async () => {
      const log = await systemd.must("journalctl -u relay -o cat --no-pager");
      return log.includes("callback.test");
    });
    await systemd.must("echo '127.0.0.1 callback.test' >> /etc/hosts");
    await untilDelivered(1, "unnamed");
    const moved: string[] = [];
    using other = Bun.serve({
      hostname: "127.0.0.2",
      port: receiver.port,
      async fetch(request) {
        moved.push(await request.text());
        return new Response();
      },
    });
    await systemd.must(
      "sed 's/127.0.0.1 callback/127.0.0.2 callback/' /etc/hosts > /run/hosts && cat /run/hosts > /etc/hosts",
    );
    // The former address may be used for some seconds, and by a connection that is busy.
    await eventually(
      async () => {
        receiver.disconnect();
        await publish(1, "moved");
        return moved.includes("moved-1");
      },
      { what: `a message for ${other.url.href}` },
    );
  });

  test("without NATS it is started after 10 s, waits, and is ready when NATS is there", async () => {
    await nats.terminate();
    await systemd.must("systemctl restart relay");
    expect(await systemd.show("ActiveState")).toBe("active");
    expect(await statusText()).toStartWith("Not ready: NATS is not connected");
    await nats.restart();
    await untilStatus(/^Ready/);
  });

  test("uninstall takes the unit and the binary away, and leaves the config", async () => {
    await systemd.must("/lab/relay service uninstall");
    expect((await systemd.run("systemctl cat relay")).exitCode).toBe(1);
    expect((await systemd.run("test -e /usr/local/bin/relay")).exitCode).toBe(1);
    await systemd.must(`test -e ${CONFIG}`);
    expect(await systemd.must("/lab/relay service uninstall")).toBe("Nothing to do: it is not installed");
  });
});
