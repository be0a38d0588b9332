// Fills a delivery log to its bound and measures how long its lists, filters and pages take, and what writing costs.
//
//   bun test/bench/delivery-log.ts [--bytes 268435456] [--subjects 100000]

import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type DeliveryRecord, EVERY_RECORD, type RecordFilter } from "#delivery/record.ts";
import { openDeliveryLog } from "#delivery-log/log.ts";
import { readPage } from "#delivery-log/page.ts";
import { createLogger } from "#lib/logger.ts";

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "268435456" },
    /** How many subjects there are: of few, a summary lists all. */
    subjects: { type: "string", default: "100000" },
    subscriptions: { type: "string", default: "200" },
  },
});
const SUBJECTS = Number(values.subjects);
const SUBSCRIPTIONS = Number(values.subscriptions);
const BATCH = 4000;
const maxBytes = Number(values.bytes);

function toRecord(index: number): DeliveryRecord {
  const subscription = `subscription-${index % SUBSCRIPTIONS}`;
  const status = index % 50 === 0 ? 503 : 200;
  const date = new Date();
  return {
    date,
    entrypoint: "webhook",
    subscription,
    application: `application-${index % 20}`,
    method: "POST",
    callbackUrl: `https://${subscription}.example/hooks/orders`,
    message: {
      stream: "ORDERS",
      sequence: index + 1,
      timeToken: "cwyvpeni7w9h",
      subject: `orders.${index % SUBJECTS}.created`,
    },
    status,
    durationMs: 12.3,
    attempts: [{ date, status, durationMs: 12.3, error: null }],
    error: status === 200 ? null : "Callback answered 503: upstream connect error",
    deadLetterId: null,
    request: null,
    response: null,
  };
}

const directory = await mkdtemp(join(tmpdir(), "relay-bench-"));
const path = join(directory, "delivery-log.db");
const log = openDeliveryLog(path, {
  bounds: { maxAgeMs: 86_400_000, maxBytes },
  logger: createLogger({
    level: "warn",
    format: "text",
    write: (line) => console.error(line),
    now: () => new Date(),
  }),
});
const sizeOf = async (end = "") => (await stat(path + end)).size;

let written = 0;
const cpu = process.cpuUsage();
while ((await sizeOf().catch(() => 0)) + 16 * 1024 * 1024 < maxBytes) {
  for (let count = 0; count < BATCH; count += 1) log.append(toRecord(written + count));
  written += BATCH;
  while (log.stats().written + log.stats().dropped < written) await Bun.sleep(1);
}
// Some more, so that the oldest go while new ones come.
for (let round = 0; round < 25; round += 1) {
  for (let count = 0; count < BATCH; count += 1) log.append(toRecord(written + count));
  written += BATCH;
  while (log.stats().written + log.stats().dropped < written) await Bun.sleep(1);
}
const { user, system } = process.cpuUsage(cpu);
console.log(
  `${written} records, ${((user + system) / written).toFixed(2)} µs of CPU each, file ${await sizeOf()} bytes`,
);

const message = toRecord(Math.floor(written * 0.8)).message;
const FILTERS: Readonly<Record<string, Partial<RecordFilter>>> = {
  nothing: {},
  "one subscription": { subscription: ["subscription-7"] },
  "status 503": { status: [{ kind: "exact", status: 503 }] },
  "status 404, of which there is none": { status: [{ kind: "exact", status: 404 }] },
  "an application and 5xx": { application: ["application-3"], status: [{ kind: "class", hundreds: 5 }] },
  "a part of the URL": { callbackUrl: ["subscription-151.example"] },
  "a URL that is none": { callbackUrl: ["nowhere.example"] },
  "one webhook-id": { message: [message] },
  "one sequence": { sequence: [message.sequence] },
  "a sequence that is none": { sequence: [written * 2] },
  "one subject": { subject: [message.subject] },
  "a subject that is none": { subject: ["orders.none.created"] },
  "subjects by a filter": { subject: ["orders.*.created"] },
  "a filter that matches none": { subject: ["*.*.deleted"] },
  "an hour ago": { to: new Date(Date.now() - 3_600_000) },
};
let worst = 0;
for (const [name, filter] of Object.entries(FILTERS)) {
  const times: number[] = [];
  let found = "";
  for (let round = 0; round < 5; round += 1) {
    const start = performance.now();
    const whole = { ...EVERY_RECORD, ...filter };
    log.countLeftOut(whole);
    const page = await readPage(log, {
      filter: whole,
      before: null,
      limit: 100,
      signal: AbortSignal.timeout(60_000),
    });
    times.push(performance.now() - start);
    if (page.kind === "done")
      found = `${page.value.records.length}${page.value.next === null ? "" : " and more"}`;
  }
  const slowest = Math.max(...times);
  worst = Math.max(worst, slowest);
  console.log(`${name.padEnd(36)} ${slowest.toFixed(1).padStart(7)} ms at most   ${found}`);
}
console.log(`slowest: ${worst.toFixed(1)} ms`);
log.close();
await rm(directory, { recursive: true });
