// Records and a log in a directory of its own, for tests.

import { join } from "node:path";
import { type DeliveryRecord, EVERY_RECORD, type RecordedMessage } from "#delivery/record.ts";
import { type DeliveryLog, type DeliveryLogOptions, openDeliveryLog } from "#delivery-log/log.ts";
import type { Slice } from "#delivery-log/read.ts";
import { createLogger } from "#lib/logger.ts";
import { temporaryDirectory } from "../support/relay.ts";

export function toRecord(changes: Partial<DeliveryRecord> = {}): DeliveryRecord {
  const { date = new Date(), status = 200, durationMs = 1.5 } = changes;
  return {
    date,
    entrypoint: "webhook",
    subscription: "billing",
    application: null,
    method: "POST",
    callbackUrl: "http://127.0.0.1/billing",
    message: toMessage("orders.created"),
    status,
    durationMs,
    attempts: [{ date, status, durationMs, error: null }],
    error: null,
    deadLetterId: null,
    request: null,
    response: null,
    ...changes,
  };
}

export function toMessage(subject: string, sequence = 1): RecordedMessage {
  return { stream: "ORDERS", sequence, timeToken: "a", subject };
}

export interface TestLog extends AsyncDisposable {
  readonly log: DeliveryLog;
  readonly path: string;
  readonly lines: readonly string[];
}

export async function openTestLog(
  options: Partial<DeliveryLogOptions> & { path?: string } = {},
): Promise<TestLog> {
  await using stack = new AsyncDisposableStack();
  const path = options.path ?? join(stack.use(await temporaryDirectory()).path, "delivery-log.db");
  const lines: string[] = [];
  const log = openDeliveryLog(path, {
    bounds: { maxAgeMs: 86_400_000, maxBytes: 268_435_456 },
    logger: createLogger({
      level: "debug",
      format: "json",
      write: (line) => void lines.push(line),
      now: () => new Date(),
    }),
    ...options,
  });
  stack.defer(() => log.close());
  const owned = stack.move();
  return { log, path, lines, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Throws where the log cannot be used. */
export function valueOf<T>(result: { kind: "done"; value: T } | { kind: "unavailable"; reason: string }): T {
  if (result.kind === "unavailable") throw new Error(result.reason);
  return result.value;
}

export function newest(log: DeliveryLog, limit = 100): Slice {
  return valueOf(
    log.readSlice({
      filter: EVERY_RECORD,
      from: Number.MAX_SAFE_INTEGER,
      direction: "down",
      columns: "whole",
      limit,
    }),
  );
}
