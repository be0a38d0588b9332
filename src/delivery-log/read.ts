// Reads one slice of the delivery log: skips blocks that cannot match the filter, and reads the first one that may.

import type { RecordFilter } from "#delivery/record.ts";
import { formatWebhookId } from "#delivery/message.ts";
import { hasWildcard, isWithin } from "#delivery/subject.ts";
import { type StoredRecord, toStoredRecord } from "./row.ts";
import { type BlockRow, BLOCKS_AT_ONCE, type Statements, type Value } from "./statements.ts";
import { mayHold, type OpenBlock, type Summary } from "./summary.ts";

export interface SliceQuery {
  readonly filter: RecordFilter;
  /** Exclusive id. */
  readonly from: number;
  readonly direction: "down" | "up";
  /** `brief`: without headers and bodies. */
  readonly columns: "brief" | "whole";
  readonly limit: number;
}

/** Some records, and the id at which to continue; `end` null: no record is left. */
export interface Slice {
  readonly records: readonly StoredRecord[];
  readonly end: number | null;
}

/** A range of ids, both inclusive. */
interface Range {
  readonly low: number;
  readonly high: number;
}

/** The newest records, which are not in a complete block yet. */
interface Tail {
  readonly firstId: number;
  readonly block: Pick<OpenBlock, "summarize">;
}

/** `oldestId`: no older record can match the filter. */
export function readSlice(
  statements: Statements,
  { tail, oldestId }: { readonly tail: Tail; readonly oldestId: number },
  query: SliceQuery,
): Slice {
  const { filter, from, direction, limit } = query;
  const isDown = direction === "down";
  const { firstId } = tail;

  function read({ low, high }: Range): readonly StoredRecord[] {
    const subjects = toSubjects(statements, filter, { low, high });
    if (subjects?.length === 0) return [];
    const parameters = [...toParameters(filter), toJson(subjects), low, high, limit];
    return statements[query.columns][direction].all(...parameters).map(toStoredRecord);
  }

  function toSlice(records: readonly StoredRecord[], end: number | null): Slice {
    return { records, end: records.length === limit ? (records.at(-1)?.id ?? null) : end };
  }

  /** Reads blocks, all of which are older than the tail. */
  function readBlocks(start: number): Slice {
    const blocks = statements.blocks[direction].all(start);
    for (const block of blocks) {
      if (isDown && block.last_id < oldestId) return { records: [], end: null };
      if (!mayHold(toSummary(block), filter)) continue;
      const range = {
        low: Math.max(block.first_id, oldestId, isDown ? 0 : from + 1),
        high: Math.min(block.last_id, isDown ? from - 1 : Infinity),
      };
      return toSlice(read(range), isDown ? block.first_id : block.last_id);
    }
    const last = blocks.at(-1);
    if (last !== undefined && blocks.length === BLOCKS_AT_ONCE)
      return { records: [], end: isDown ? last.first_id : last.last_id };
    return isDown ? { records: [], end: null } : readTail();
  }

  function readTail(): Slice {
    if (!mayHold(tail.block.summarize(), filter)) return { records: [], end: isDown ? firstId : null };
    const range = {
      low: Math.max(firstId, oldestId, isDown ? 0 : from + 1),
      high: isDown ? from - 1 : Number.MAX_SAFE_INTEGER,
    };
    return toSlice(read(range), isDown ? firstId : null);
  }

  if (!isDown) return from >= firstId - 1 ? readTail() : readBlocks(from + 1);
  return from > firstId ? readTail() : readBlocks(from);
}

/** The parameters of `IS_MEANT`: those of `MEETS`, then the conditions on messages. */
function toParameters(filter: RecordFilter): Value[] {
  return [
    ...toCommonParameters(filter),
    toJson(filter.message.map(formatWebhookId)),
    toJson(filter.sequence),
  ];
}

export function toCommonParameters(filter: RecordFilter): Value[] {
  const statuses = filter.status.flatMap((one) =>
    one.kind === "exact" ? [one.status] : Array.from({ length: 100 }, (_, rest) => one.hundreds * 100 + rest),
  );
  return [
    toJson(statuses),
    toJson(filter.subscription),
    toJson(filter.application),
    toJson(filter.entrypoint),
    toJson(filter.callbackUrl),
    filter.from?.getTime() ?? null,
    filter.to?.getTime() ?? null,
  ];
}

/** null: no condition. */
function toJson(values: readonly (string | number)[] | null): string | null {
  return values === null || values.length === 0 ? null : JSON.stringify(values);
}

/** The subjects in the range that match the filter's wildcards; null: no condition. */
function toSubjects(
  statements: Statements,
  { subject: filters }: RecordFilter,
  { low, high }: Range,
): readonly string[] | null {
  if (filters.length === 0) return null;
  if (!filters.some(hasWildcard)) return filters;
  return statements.subjects
    .all(low, high)
    .map(({ subject }) => subject)
    .filter((subject) => filters.some((one) => isWithin(subject, one)));
}

function toSummary({ oldest_ms: oldestMs, newest_ms: newestMs, listed, bloom }: BlockRow): Summary {
  // The log itself wrote it.
  const values = JSON.parse(listed) as Summary["values"];
  return { values, oldestMs, newestMs, bloom };
}
