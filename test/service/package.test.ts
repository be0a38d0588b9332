// The packages for real: installed, upgraded under load, removed and purged by dpkg under a systemd of its own.
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

const MESSAGES = 600;
const TIME = 1_700_000_000;
const architecture = process.arch === "arm64" ? "arm64" : "amd64";
const missing = ["dpkg-deb", "zstd", "lintian"].filter((name) => Bun.which(name) === null);
const why = missing.length > 0 ? `not installed: ${missing.join(", ")}` : whyNoSystemd();

function pack(outdir: string, own: { version: string; binary: string; compression: "xz" | "none" }) {
  const { binary, ...options } = own;
  return makePackages({ ...options, outdir, time: TIME, native: BINARY, builds: [{ architecture, binary }] });
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
    await pack(join(directory, "old"), { version: "0.0.1", binary: BINARY, compression: "none" });
    await pack(join(directory, "new"), { version: "0.0.2", binary: BINARY, compression: "none" });
    systemd = stack.use(await startPrivateSystemd({ shared: directory }));
    await systemd.must("rm -f /usr/sbin/policy-rc.d");
  }, 60_000);
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
  });

  test("lintian has nothing to say", async () => {
    const place = join(directory, "small");
    await pack(place, { version: "0.0.1", binary: "/bin/true", compression: "xz" });
    const tags = "--fail-on error,warning --suppress-tags mismatched-override,unused-override";
    expect(runHere(`lintian --allow-root ${tags} *.deb`, place)).toMatchObject({ exitCode: 0 });
  }, 30_000);

  test("installed, upgraded under load without a loss, removed, purged", async () => {
    await using nats = await startNatsServer();
    const client = await nats.connect();
    await addStream(client);
    await using receiver = await startReceiver(async () => {
      await Bun.sleep(10);
      return 200;
    });
    const received = () => new Set(receiver.requests.map(({ body }) => body.toString()));

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

    const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href });
    await systemd.write(
      "/etc/relay/relay.config.json",
      JSON.stringify({ ...config, server: { listen: null } }),
    );
    await systemd.must("systemctl start relay");
    const before = await systemd.show("MainPID");
    for (let i = 1; i <= MESSAGES; i += 1) client.publish("orders.a", String(i));
    await client.flush();
    await eventually(() => received().size > 20);
    const upgrade = systemd.must("dpkg --install /lab/new/*.deb");
    await upgrade;
    expect(await systemd.show("MainPID")).not.toBe(before);
    await eventually(() => received().size === MESSAGES, { what: "every message", withinMs: 20_000 });
    expect(await systemd.must("cat /etc/relay/relay.config.json")).toContain(receiver.url.href);

    await systemd.must("dpkg --remove relay");
    expect((await systemd.run("systemctl is-active relay")).stdout).toBe("inactive");
    await systemd.must("test -e /etc/relay/relay.config.json && ! test -e /usr/bin/relay");
    await systemd.must("dpkg --purge relay");
    await systemd.must("! test -e /etc/relay && ! test -e /var/lib/private/relay");
    expect(await systemd.must("systemctl is-system-running || true")).not.toContain("degraded");
  }, 60_000);
});
