// Every command of the README's quick start, in its order, on ports of this test.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/nats-server.ts";
import { README, textBetween } from "../support/readme.ts";
import { temporaryDirectory } from "../support/relay.ts";

const HOME = new URL("../..", import.meta.url).pathname;

/** The commands; everything that they start ends with them. */
async function toScript(): Promise<string> {
  const [nats, receiver] = [await freePort(), await freePort()];
  const text = textBetween(await Bun.file(README).text(), "quick-start");
  const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block).join("");
  const onOwnPorts = commands
    .replace("nats-server -js", `nats-server -p ${nats} -js`)
    .replace("connect({", `connect({ port: ${nats},`)
    .replaceAll("9000", String(receiver))
    .replace("sleep 1\n", "until relay logs | grep -q ' 422 '; do sleep 0.2; done\n")
    .replace(
      '"endpoints": [',
      `"nats": { "servers": ["nats://127.0.0.1:${nats}"] }, "server": { "listen": "127.0.0.1:0" }, "endpoints": [`,
    );
  return `set -eu\ntrap 'kill $(jobs -p); wait' EXIT\n${onOwnPorts}`;
}

test("the quick start works as it is written: delivered, rejected, repaired, replayed", async () => {
  await using directory = await temporaryDirectory();
  await Bun.write(join(directory.path, "quick-start.sh"), await toScript());
  const run = Bun.spawn(["bash", "quick-start.sh"], {
    cwd: directory.path,
    env: { ...process.env, RELAY_HOME: HOME },
    stdout: "pipe",
    stderr: "pipe",
    timeout: 90_000,
  });
  const [stdout, stderr] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited]);
  expect(stdout.split("\n"), stderr).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^relay\.config\.json is valid: /),
      expect.stringMatching(/^billing +running /),
      expect.stringMatching(/ 200 +billing /),
      expect.stringMatching(/ 422 +billing .*Callback answered 422: no amount$/),
      expect.stringMatching(/^billing\.ORDERS\.2-/),
      "received { order: 1, amount: 10 }",
      "received { order: 2 }",
    ]),
  );
  expect(run.exitCode).toBe(0);
}, 120_000);
