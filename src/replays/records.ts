// Replay records in the bucket: every relay reads and commands them, the relay that replays updates their progress.

import { isEnded, parseReplayRecord, type ReplayRecord } from "#delivery/replay.ts";
import { sleep } from "#lib/sleep.ts";
import type { Bucket } from "#bucket/bucket.ts";

export type RecordsBucket = Pick<Bucket, "ready" | "get" | "list" | "write" | "erase" | "onChange">;

export type RecordOutcome =
  | { readonly kind: "written"; readonly record: ReplayRecord }
  | { readonly kind: "missing" }
  /** The record does not allow this change. */
  | { readonly kind: "refused" }
  | { readonly kind: "unavailable"; readonly reason: string };

interface ReplayRecords {
  /** Newest first. */
  list: () => readonly ReplayRecord[];
  find: (id: string) => ReplayRecord | null;
  create: (record: ReplayRecord, signal: AbortSignal) => Promise<RecordOutcome>;
  /** `change` returns null if the record does not allow it; called again if another relay wrote meanwhile. Never rejects. */
  change: (
    id: string,
    change: (record: ReplayRecord) => ReplayRecord | null,
    signal: AbortSignal,
  ) => Promise<RecordOutcome>;
  /** Deletes records of ended replays, except the newest. */
  prune: (signal: AbortSignal) => Promise<void>;
}

const PREFIX = "replay.";
const KEPT = 20;
const TRIES = 20;
const TRY_AGAIN_MS = 50;

export function isRecordKey(key: string): boolean {
  return key.startsWith(PREFIX);
}

export function createReplayRecords(bucket: RecordsBucket): ReplayRecords {
  function list(): readonly ReplayRecord[] {
    return bucket
      .list(PREFIX)
      .flatMap(({ value }) => parseReplayRecord(value) ?? [])
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  function read(id: string): { record: ReplayRecord; revision: number } | null {
    const entry = bucket.get(PREFIX + id);
    const record = entry === null ? null : parseReplayRecord(entry.value);
    return entry === null || record === null ? null : { record, revision: entry.revision };
  }

  async function write(
    record: ReplayRecord,
    expectedRevision: number,
    signal: AbortSignal,
  ): Promise<RecordOutcome | null> {
    const value = JSON.stringify(record);
    const result = await bucket.write(PREFIX + record.id, value, { expectedRevision, signal });
    if (result.kind === "written") return { kind: "written", record };
    return result.kind === "conflict" ? null : { kind: "unavailable", reason: result.reason };
  }

  return {
    list,
    find: (id) => read(id)?.record ?? null,
    async create(record, signal) {
      const outcome = await write(record, 0, signal);
      return outcome ?? { kind: "refused" };
    },
    async change(id, change, signal) {
      for (let tries = 0; tries < TRIES && !signal.aborted; tries += 1) {
        const found = read(id);
        if (found === null) return { kind: "missing" };
        const next = change(found.record);
        if (next === null) return { kind: "refused" };
        const outcome = await write(next, found.revision, signal);
        if (outcome !== null) return outcome;
        await sleep(TRY_AGAIN_MS, signal);
      }
      return { kind: "unavailable", reason: "other relays keep changing it" };
    },
    async prune(signal) {
      const ended = list().filter((record) => isEnded(record) && record.maxReplays === null);
      for (const { id } of ended.slice(KEPT)) {
        const revision = read(id)?.revision;
        if (revision !== undefined) await bucket.erase(PREFIX + id, { expectedRevision: revision, signal });
      }
    },
  };
}
