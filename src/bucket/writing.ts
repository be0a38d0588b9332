// Writes the mirror's local changes to the bucket, and retries each until it is stored or refused for good.
//
// Relay's own changes overwrite the stored value. A command that waited for NATS does not overwrite a value that another relay
// stored after the command was given. The server's clock decides that, with the age of the command by this host's clock.

import { repeatDelayMs } from "#delivery/backoff.ts";
import type { Logger } from "#lib/logger.ts";

import { createWakeUp } from "./wake-up.ts";
import { readKey } from "./message.ts";
import type { LocalChange, Mirror } from "./mirror.ts";
import type { BucketSigner } from "./signer.ts";
import { writeKey, type WriteResult } from "./write.ts";
import type { Connection } from "#nats/connection.ts";

export interface BucketWriting {
  /** Writes now: there is a new change, or the fault may have passed. */
  wake: () => void;
  /** Tries each pending change once more; each write has its own time limit. */
  flush: () => Promise<void>;
  close: () => Promise<void>;
}

interface WritingOptions {
  readonly bucket: string;
  readonly signer: BucketSigner | null;
  readonly mirror: Mirror;
  readonly logger: Logger;
  /** Offset from this host's clock to the server's; null: not known yet. */
  readonly serverOffsetMs: () => number | null;
  /** A command no longer waits. */
  readonly onCommandEnded: () => void;
  /** null: nothing pending. */
  readonly onFault: (reason: string | null) => void;
}

type Written = WriteResult | { readonly kind: "overtaken" };

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;
/** Others may write the same key. */
const MAX_TRIES = 5;

export function startBucketWriting(connection: Connection, options: WritingOptions): BucketWriting {
  const { bucket, signer, mirror, logger, serverOffsetMs, onCommandEnded, onFault } = options;
  const ended = new AbortController();
  const wakeUp = createWakeUp(ended.signal);
  let round: Promise<string | null> = Promise.resolve(null);

  async function run(): Promise<void> {
    for (let tries = 1; !ended.signal.aborted; tries += 1) {
      round = writeAll();
      const fault = await round;
      onFault(fault ?? mirror.refusal());
      if (fault === null) tries = 0;
      const random = Math.random();
      const delayMs = repeatDelayMs(tries, { initialMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, random });
      await wakeUp.wait(fault === null ? null : delayMs);
    }
  }

  /** Why a change is still pending; null: none is. A refused change does not block the others. */
  async function writeAll(): Promise<string | null> {
    let fault: string | null = null;
    for (const change of mirror.unwritten()) {
      // Leaves an entry without a valid signature alone, until a command overwrites it.
      if (change.commandedAt === null && mirror.isRefused(change.key)) continue;
      const result = await write(change);
      settle(change, result);
      if (result.kind === "conflict") fault = "another client keeps changing the same key";
      if (result.kind === "unavailable") return result.reason;
    }
    return fault;
  }

  function settle(change: LocalChange, result: Written): void {
    const { key, commandedAt } = change;
    switch (result.kind) {
      case "written":
        mirror.written(change, result.revision);
        break;
      case "refused":
        mirror.refused(change, result.reason);
        logger.error("The bucket refuses a change for good", { bucket, key, reason: result.reason });
        break;
      case "overtaken":
        mirror.drop(change);
        logger.warn("A command that waited for NATS was dropped: a later one is stored", { bucket, key });
        break;
      case "conflict":
      case "unavailable":
        return;
    }
    if (commandedAt !== null) onCommandEnded();
  }

  function write(change: LocalChange): Promise<Written> {
    const { commandedAt } = change;
    return commandedAt === null
      ? writeKey(connection, { bucket, signer, ...change, expectedRevision: null }, ended.signal)
      : writeCommand(change, commandedAt);
  }

  async function writeCommand(change: LocalChange, commandedAt: number): Promise<Written> {
    for (let tries = 1; ; tries += 1) {
      const stored = await readKey(connection, bucket, change.key);
      if (stored.kind === "unavailable") return stored;
      if (stored.kind === "found") {
        const { id, revision, storedAt } = stored.message;
        if (id === change.id) return { kind: "written", revision };
        const offsetMs = serverOffsetMs();
        if (offsetMs === null) return { kind: "unavailable", reason: "the bucket is not read yet" };
        const { isRefused } = mirror.judge({ key: change.key, ...stored.message });
        if (storedAt > commandedAt + offsetMs && !isRefused) return { kind: "overtaken" };
      }
      const expectedRevision = stored.kind === "found" ? stored.message.revision : 0;
      const result = await writeKey(
        connection,
        { bucket, signer, ...change, expectedRevision },
        ended.signal,
      );
      if (result.kind !== "conflict" || tries === MAX_TRIES) return result;
    }
  }

  async function flush(): Promise<void> {
    await round;
    await writeAll();
  }

  const running = run();

  return {
    wake: wakeUp.call,
    flush,
    async close() {
      ended.abort();
      await running;
    },
  };
}
