// Writes to the delivery log at the path that it is given until it is killed, and a dot for each batch.

import { writeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { openDeliveryLog } from "#delivery-log/log.ts";
import { createLogger } from "#lib/logger.ts";
import { toRecord } from "./records.ts";

const [path = ""] = process.argv.slice(2);
const log = openDeliveryLog(path, {
  bounds: { maxAgeMs: 86_400_000, maxBytes: 1_048_576 },
  logger: createLogger({
    level: "warn",
    format: "json",
    write: console.error,
    now: () => new Date(),
  }),
});
const body = Buffer.alloc(400, "a");
for (;;) {
  const { written } = log.stats();
  for (let index = 0; index < 500; index += 1)
    log.append(toRecord({ request: { headers: null, body, isCut: false } }));
  while (log.stats().written === written) await setImmediate();
  writeSync(1, ".");
}
