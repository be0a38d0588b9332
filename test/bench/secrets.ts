// `bun test/bench/secrets.ts`: what ten thousand subscriptions with secrets cost, beside as many without: check, start, reloads
// that change every secret, and what masking an answer takes.
//
// They are paused, for what NATS needs for its consumers is not what is measured. `--count N`: that many.

import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createMask } from "#lib/mask.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { BINARY, startRelay, temporaryDirectory } from "../support/relay.ts";
import { readProcess } from "./process.ts";

type Json = Readonly<Record<string, unknown>>;

const { values } = parseArgs({ options: { count: { type: "string", default: "10000" } } });
const COUNT = Number(values.count);
const RELOADS = 5;
const WAIT_MS = 300_000;

const secret = (length: number) => randomBytes(length).toString("base64url").slice(0, length);

function toConfig(natsUrl: string, hasSecrets: boolean): Json {
  const headers = () => [{ name: "X-Key", value: secret(64) }];
  const auth = () => ({ type: "token", token: { value: secret(300) } });
  const signature = () => ({ secrets: [`whsec_${randomBytes(32).toString("base64")}`] });
  return {
    nats: { servers: [natsUrl] },
    server: { listen: "127.0.0.1:0" },
    logs: { level: "info" },
    endpoints: [{ name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } }],
    entrypoints: [{ type: "webhook" }],
    subscriptions: Array.from({ length: COUNT }, (_, index) => ({
      id: `sub-${index}`,
      status: "PAUSED",
      configuration: {
        entrypointId: "webhook",
        channel: `orders.${index}`,
        callbackUrl: `https://callback.example.com/${index}${hasSecrets ? `?key=${secret(32)}` : ""}`,
        ...(hasSecrets ? { headers: headers(), auth: auth(), signature: signature() } : {}),
      },
    })),
  };
}

/** Of the processor, for what else the machine does counts otherwise. */
function print(what: string, cpuMicros: number, bytes: number): void {
  console.log(`${what.padEnd(44)} ${(cpuMicros / 1e6).toFixed(1)} s of CPU  ${Math.round(bytes / 1e6)} MB`);
}

async function check(path: string): Promise<void> {
  const child = Bun.spawn([BINARY, "check", "--config", path], { stdout: "ignore" });
  if ((await child.exited) !== 0) throw new Error("The config has faults");
  const usage = child.resourceUsage();
  print("  relay check", Number(usage?.cpuTime.total ?? 0), usage?.maxRSS ?? 0);
}

async function measure(natsUrl: string, hasSecrets: boolean): Promise<void> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  const config = toConfig(natsUrl, hasSecrets);
  console.log(`${COUNT} subscriptions ${hasSecrets ? "with" : "without"} secrets`);
  await writeFile(path, JSON.stringify(config, null, 2));
  await check(path);
  await using relay = await startRelay({ config, directory: directory.path });
  await eventually(() => relay.logs.some(({ message }) => message === "Relay runs"), { withinMs: WAIT_MS });
  const url = await relay.url();
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, { withinMs: WAIT_MS });
  let before = await readProcess(relay.pid);
  print("  start, until ready", before.cpuMicros, before.residentBytes);
  for (let round = 1; round <= RELOADS; round += 1) {
    await writeFile(path, JSON.stringify(toConfig(natsUrl, hasSecrets), null, 2));
    const answer = await fetch(`${url}/api/reload`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    if (answer.status !== 200) throw new Error(await answer.text());
    const after = await readProcess(relay.pid);
    print(`  reload ${round}`, after.cpuMicros - before.cpuMicros, after.residentBytes);
    before = after;
  }
}

function measureMask(): void {
  const mask = createMask(Array.from({ length: 5 }, () => secret(60)));
  const json = JSON.stringify({ id: 1, status: "accepted", at: new Date(0), note: "some words of a text" });
  const texts = {
    "an answer of 80 bytes": json,
    "64 KiB of JSON": json.repeat(1000).slice(0, 65_536),
    "64 KiB of base64": randomBytes(49_152).toString("base64"),
    "64 KiB of escapes": "\\u0041%41&#65;".repeat(4681),
  };
  console.log("masking, with 5 secrets");
  for (const [name, text] of Object.entries(texts)) {
    const times = Array.from({ length: 20 }, () => {
      const startMs = performance.now();
      mask(text, "cut");
      return performance.now() - startMs;
    }).sort((left, right) => left - right);
    console.log(`  ${name.padEnd(42)} ${(times[10] ?? 0).toFixed(2)} ms`);
  }
}

await using nats = await startNatsServer();
await measure(nats.url, false);
await measure(nats.url, true);
measureMask();
