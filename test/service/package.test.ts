// The packages for real: installed, upgraded under load, removed and purged by dpkg under a systemd of its own. The package
// that is upgraded is of earlier sources, built by themselves.
//
// Lintian sees one with a small program in the place of the binary, of which it would read every byte for a minute.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { makePackages } from "../../.package/package.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type PrivateSystemd, startPrivateSystemd, whyNoSystemd } from "../support/private-systemd.ts";
import { startReceiver } from "../support/receiver.ts";
import { BINARY, temporaryDirectory } from "../support/relay.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** The release before, or what comes nearest to it. */
const RELEASE_BEFORE = "8c028cb";
const MESSAGES = 600;
const REJECTED = 20;
const TIME = 1_700_000_000;
const architecture = process.arch === "arm64" ? "arm64" : "amd64";
const missing = ["dpkg-deb", "zstd", "lintian"].filter((name) => Bun.which(name) === null);
const why = missing.length > 0 ? `not installed: ${missing.join(", ")}` : whyNoSystemd();

function pack(outdir: string, own: { version: string; binary: string; compression: "xz" | "none" }) {
  const { binary, ...options } = own;
  return makePackages({ ...options, outdir, time: TIME, native: BINARY, builds: [{ architecture, binary }] });
}

/** A checkout without its history has today's sources only. */
const hasHistory = Bun.spawnSync(["git", "cat-file", "-e", `${RELEASE_BEFORE}^{commit}`], {
  cwd: ROOT,
}).success;

/** The package of the release before, made by its own scripts with its own dependencies. */
function packBefore(directory: string, outdir: string): void {
  const sources = join(directory, "before");
  const make = `import { makePackages } from "./.package/package.ts";
    const [outdir, binary, architecture] = process.argv.slice(1);
    const builds = [{ architecture, binary }];
    await makePackages({ outdir, version: "0.0.1", time: ${TIME}, native: binary, compression: "none", builds });`;
  const commands = `mkdir ${sources} && git archive ${RELEASE_BEFORE} | tar --extract --directory ${sources} &&
    cd ${sources} && npm ci --silent --omit=dev --ignore-scripts --prefer-offline && bun build.ts &&
    bun -e '${make}' ${outdir} ${sources}/dist/relay ${architecture}`;
  expect(runHere(commands, ROOT)).toMatchObject({ exitCode: 0 });
}

function runHere(command: string, cwd: string): { exitCode: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-c", command], { cwd });
  return { exitCode, text: `${stdout.toString()}${stderr.toString()}` };
}

describe.skipIf(why !== null)(`packages${why === null ? "" : ` (skipped: ${why})`}`, () => {
  const stack = new AsyncDisposableStack();
  let directory: string;
  let systemd: PrivateSystemd;

  beforeAll(async () => {
    directory = stack.use(await temporaryDirectory()).path;
    const old = join(directory, "old");
    if (hasHistory) packBefore(directory, old);
    else await pack(old, { version: "0.0.1", binary: BINARY, compression: "none" });
    await pack(join(directory, "new"), { version: "0.0.2", binary: BINARY, compression: "none" });
    systemd = stack.use(await startPrivateSystemd({ shared: directory }));
    await systemd.must("rm -f /usr/sbin/policy-rc.d");
  }, 120_000);
  afterAll(() => stack.disposeAsync());

  test("their checksums are right, and the archive holds what the package holds", async () => {
    const place = join(directory, "new");
    expect(runHere("sha256sum --check --strict SHA256SUMS", place)).toMatchObject({ exitCode: 0 });
    const names = (await readdir(place)).sort();
    expect(names.length).toBe(3);
    const inArchive = runHere("tar --list --file *.tar.zst | grep -v '/$' | sort", place).text;
    const inPackage = runHere("dpkg-deb --contents *.deb | awk '!/^d/ {print substr($6, 3)}' | sort", place);
    expect(inArchive).toBe(inPackage.text);
    expect(inArchive).toContain("usr/share/man/man1/relay.1.gz\n");
    expect(inArchive).toContain("usr/share/doc/relay/notices.gz\n");
    expect(inArchive).toContain("usr/share/doc/relay/relay.cdx.json\n");
    expect(inArchive).toContain("usr/share/man/man5/relay.config.json.5.gz\n");
    for (const name of ["alerts.yml", "dashboard.json", "relay.config.schema.json"]) {
      expect(inArchive).toContain(`usr/share/relay/${name}\n`);
    }
  });

  test("lintian has nothing to say", async () => {
    const place = join(directory, "small");
    await pack(place, { version: "0.0.1", binary: "/bin/true", compression: "xz" });
    const tags = "--fail-on error,warning --suppress-tags mismatched-override,unused-override";
    expect(runHere(`lintian --allow-root ${tags} *.deb`, place)).toMatchObject({ exitCode: 0 });
  }, 150_000);

  const before = hasHistory ? "" : " (from the same build: there is no history here)";
  test(`installed, upgraded under load without a loss${before}, removed, purged`, async () => {
    await using nats = await startNatsServer();
    const client = await nats.connect();
    await addStream(client);
    let isMended = false;
    await using receiver = await startReceiver(async ({ path }) => {
      if (path === "/rejecting") return isMended ? 200 : 422;
      await Bun.sleep(10);
      return 200;
    });
    const received = (path: string) => {
      const own = receiver.requests.filter((request) => request.path === path);
      return new Set(own.map(({ body }) => body.toString()));
    };

    await systemd.must("dpkg --install /lab/old/*.deb");
    expect(await systemd.must("systemctl is-enabled relay")).toBe("enabled");
    expect((await systemd.run("systemctl is-active relay")).stdout).toBe("inactive");
    const places = "/etc/relay /etc/relay/relay.config.json /etc/relay/credentials";
    expect(await systemd.must(`stat -c '%a %U:%G' ${places}`)).toBe(
      "750 root:relay-config\n640 root:relay-config\n700 root:root",
    );
    const refused = await systemd.run("/usr/bin/relay service install");
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stderr).toContain("it came with a package");

    const base = receiver.url.origin;
    await systemd.must(`printf ${base}/accepting > /etc/relay/credentials/accepting`);
    const toSubscription = (id: string, channel: string, callbackUrl: unknown) => ({
      id,
      configuration: { entrypointId: "webhook", deliverPolicy: "all", channel, callbackUrl },
    });
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: "",
      hasDeadLetters: true,
      more: {
        server: { listen: null },
        subscriptions: [
          toSubscription("accepting", "orders.a", { credential: "relay_accepting" }),
          toSubscription("rejecting", "orders.b", `${base}/rejecting`),
          toSubscription("paused", "orders.c", `${base}/paused`),
        ],
      },
    });
    await systemd.write("/etc/relay/relay.config.json", JSON.stringify(config));
    await systemd.must("systemctl start relay");
    await systemd.must("relay subscriptions pause paused");
    const earlier = await systemd.show("MainPID");
    for (let i = 1; i <= REJECTED; i += 1) client.publish("orders.b", String(i));
    client.publish("orders.c", "1");
    for (let i = 1; i <= MESSAGES; i += 1) client.publish("orders.a", String(i));
    await client.flush();
    await eventually(() => received("/accepting").size > 20 && received("/rejecting").size === REJECTED);
    await systemd.must("dpkg --install /lab/new/*.deb");
    expect(await systemd.show("MainPID")).not.toBe(earlier);
    await eventually(() => received("/accepting").size === MESSAGES, {
      what: "every message",
      withinMs: 20_000,
    });
    expect(await systemd.must("cat /etc/relay/relay.config.json")).toContain(base);
    // What the relay before stored, the new one knows: that somebody paused, and letters that it proves to be Relay's.
    isMended = true;
    const replay = await systemd.must("relay dlq replay --subscription rejecting | tail -1");
    expect(JSON.parse(replay)).toMatchObject({ state: "done", delivered: REJECTED, failed: 0 });
    expect(received("/paused").size).toBe(0);
    await systemd.must("relay subscriptions resume paused");
    await eventually(() => received("/paused").size === 1, { what: "the message of the paused one" });

    // The config that a new host gets names a schema that is there.
    await systemd.must(
      "systemctl stop relay && mv /etc/relay/relay.config.json /root && sh /var/lib/dpkg/info/relay.postinst configure",
    );
    const first = JSON.parse(await systemd.must("cat /etc/relay/relay.config.json")) as { $schema: string };
    expect(await systemd.must(`cat ${first.$schema}`)).toContain('"$id": "urn:relay:config:');
    await systemd.must(
      "relay check --config /etc/relay/relay.config.json && mv /root/relay.config.json /etc/relay && systemctl start relay",
    );

    await systemd.must("dpkg --remove relay");
    expect((await systemd.run("systemctl is-active relay")).stdout).toBe("inactive");
    await systemd.must("test -e /etc/relay/relay.config.json && ! test -e /usr/bin/relay");
    await systemd.must("dpkg --purge relay");
    await systemd.must("! test -e /etc/relay && ! test -e /var/lib/private/relay");
    expect(await systemd.must("systemctl is-system-running || true")).not.toContain("degraded");
  }, 150_000);
});
