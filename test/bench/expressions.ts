// Measures the CPU that a filter, a transform and a format cost for each message, beside a message that has none.
//
//   bun test/bench/expressions.ts

import { type ShapeSettings, UNSHAPED } from "#delivery/shape.ts";
import { createShaper } from "#shape/shaper.ts";
import { toMessage } from "../callback/setup.ts";

const MESSAGES = 5000;
const ROUNDS = 3;
const OPTIONS = { attempt: 1, signal: new AbortController().signal };
const BODY = JSON.stringify({
  id: 7,
  amount: 101,
  status: "paid",
  items: Array.from({ length: 10 }, (_, n) => ({ n })),
});

const CASES: readonly (readonly [string, Partial<ShapeSettings>])[] = [
  ["nothing", {}],
  ["filter: body.amount > 100", { filter: "body.amount > 100" }],
  ["filter: two comparisons", { filter: 'body.amount > 100 and body.status = "paid"' }],
  ["filter: a regular expression", { filter: "$contains(subject, /^orders\\.(eu|us)\\./)" }],
  ["path: one URL for each device", { path: '["devices", tokens[1]]' }],
  ["body: a chat message", { body: '{ "text": "Order " & body.id & " of " & body.amount }' }],
  ["format: cloudevents-binary", { format: "cloudevents-binary" }],
  ["format: cloudevents-structured", { format: "cloudevents-structured" }],
];

function cpuMicros(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

async function measure(settings: Partial<ShapeSettings>): Promise<number> {
  const about = { subscription: "a", application: null, metadata: {} };
  const shaper = createShaper({ ...UNSHAPED, ...settings }, about);
  const message = toMessage(BODY, { subject: "orders.eu.created" });
  const before = cpuMicros();
  for (let count = 0; count < MESSAGES; count += 1) {
    if (shaper.select !== null) await shaper.select(message, OPTIONS);
    if (shaper.shape !== null) await shaper.shape(message, OPTIONS);
  }
  return (cpuMicros() - before) / MESSAGES;
}

for (let round = 1; round <= ROUNDS; round += 1) {
  console.log(`round ${round}`);
  for (const [name, settings] of CASES) {
    console.log(`  ${(await measure(settings)).toFixed(1).padStart(7)} µs  ${name}`);
  }
}
