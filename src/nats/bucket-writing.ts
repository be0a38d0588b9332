// Writes to a bucket what was changed in its mirror: as soon as it can, again until it is stored.

import { repeatDelayMs } from "#delivery/backoff.ts";

import { createBell } from "./bucket-bell.ts";
import type { Mirror } from "./bucket-mirror.ts";
import { writeKey } from "./bucket-write.ts";
import type { Connection } from "./connection.ts";

export interface BucketWriting {
  /** There is something to write, or a reason to hope that it can be written now. */
  wake: () => void;
  /** One more try for what is left; it is not bounded by more than what a write is. */
  flush: () => Promise<void>;
  close: () => Promise<void>;
}

export interface WritingOptions {
  readonly bucket: string;
  readonly mirror: Mirror;
  /** null: nothing is left. */
  readonly onFault: (reason: string | null) => void;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;

export function startBucketWriting(
  connection: Connection,
  { bucket, mirror, onFault }: WritingOptions,
): BucketWriting {
  const ended = new AbortController();
  const bell = createBell(ended.signal);
  let round: Promise<string | null> = Promise.resolve(null);

  async function run(): Promise<void> {
    for (let tries = 1; !ended.signal.aborted; tries += 1) {
      round = writeAll();
      const fault = await round;
      onFault(fault);
      if (fault === null) tries = 0;
      const random = Math.random();
      const delayMs = repeatDelayMs(tries, { initialMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, random });
      await bell.wait(fault === null ? null : delayMs);
    }
  }

  /** Why something is left; null: nothing is. What is refused does not hold up the others. */
  async function writeAll(): Promise<string | null> {
    let fault: string | null = null;
    for (const change of mirror.unwritten()) {
      const result = await writeKey(connection, { bucket, ...change, expectedRevision: null }, ended.signal);
      if (result.kind === "written") mirror.written(change, result.revision);
      else fault = result.kind === "conflict" ? "conflict without a condition" : result.reason;
      if (result.kind === "unavailable") break;
    }
    return fault;
  }

  async function flush(): Promise<void> {
    await round;
    await writeAll();
  }

  const running = run();

  return {
    wake: bell.ring,
    flush,
    async close() {
      ended.abort();
      await running;
    },
  };
}
