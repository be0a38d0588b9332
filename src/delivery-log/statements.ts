// The tables of the delivery log and all SQL statements.

import type { Database, Statement } from "bun:sqlite";

/** The `user_version` of a file with this layout. */
export const LAYOUT_VERSION = 2;

/**
 * Small columns come first, so that a filter need not read past a body. `attempts` is null if the other columns imply it.
 * `blocks`: a summary for each run of records except the newest. `left_out`: counts of deliveries that sampling did not
 * record: by minute, and by hour once they are two hours old.
 */
export const LAYOUT = [
  `CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    date INTEGER NOT NULL,
    status INTEGER NOT NULL,
    entrypoint TEXT NOT NULL,
    subscription TEXT NOT NULL,
    application TEXT,
    method TEXT NOT NULL,
    callback_url TEXT NOT NULL,
    stream TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time_token TEXT NOT NULL,
    subject TEXT NOT NULL,
    dead_letter_id TEXT,
    duration_ms REAL NOT NULL,
    error TEXT,
    attempts TEXT,
    cuts INTEGER NOT NULL,
    request_headers TEXT,
    response_headers TEXT,
    request_body BLOB,
    response_body BLOB
  ) STRICT`,
  `CREATE TABLE blocks (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    listed TEXT NOT NULL,
    bloom BLOB NOT NULL
  ) STRICT`,
  `CREATE TABLE left_out (
    date INTEGER NOT NULL,
    subscription TEXT NOT NULL,
    entrypoint TEXT NOT NULL,
    application TEXT NOT NULL,
    callback_url TEXT NOT NULL,
    status INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (date, subscription, entrypoint, application, callback_url, status)
  ) STRICT, WITHOUT ROWID`,
] as const;

const COLUMNS = 21;
const BRIEF = `id, date, status, entrypoint, subscription, application, method, callback_url, stream, sequence, time_token,
  subject, dead_letter_id, duration_ms, error, attempts, cuts`;
const BRIEF_ONLY = `${BRIEF}, NULL AS request_headers, NULL AS response_headers, NULL AS request_body,
  NULL AS response_body`;

const isAnyOf = (column: string, parameter: string) =>
  `(${parameter} IS NULL OR ${column} IN (SELECT value FROM json_each(${parameter})))`;
const holdsAnyOf = (column: string, parameter: string) =>
  `(${parameter} IS NULL OR EXISTS (SELECT 1 FROM json_each(${parameter}) WHERE instr(${column}, value) > 0))`;

/** The conditions that apply to records and to unrecorded deliveries: ?1 to ?7. Lists are JSON. */
const MEETS = `${isAnyOf("status", "?1")}
  AND ${isAnyOf("subscription", "?2")}
  AND ${isAnyOf("application", "?3")}
  AND ${isAnyOf("entrypoint", "?4")}
  AND ${holdsAnyOf("callback_url", "?5")}
  AND (?6 IS NULL OR date >= ?6)
  AND (?7 IS NULL OR date < ?7)`;

/** The conditions on a record. ?8: `webhook-id`; ?9: sequence; ?10: subject; ?11 and ?12: ids, both inclusive; ?13: limit. */
const IS_MEANT = `id BETWEEN ?11 AND ?12 AND ${MEETS}
  AND ${isAnyOf("sequence", "?9")}
  AND ${isAnyOf("subject", "?10")}
  AND (?8 IS NULL OR 'msg_' || stream || '_' || sequence || '_' || time_token IN (SELECT value FROM json_each(?8)))`;

/** The approximate size of each record in the file. */
const SIZES = `SELECT id, 190 + length(callback_url) + length(subject) + ifnull(length(attempts), 0)
  + ifnull(length(error), 0)
  + ifnull(length(request_headers), 0) + ifnull(length(response_headers), 0)
  + ifnull(length(request_body), 0) + ifnull(length(response_body), 0) AS bytes FROM deliveries`;

export interface Row {
  readonly id: number;
  readonly date: number;
  readonly status: number;
  readonly entrypoint: string;
  readonly subscription: string;
  readonly application: string | null;
  readonly method: string;
  readonly callback_url: string;
  readonly stream: string;
  readonly sequence: number;
  readonly time_token: string;
  readonly subject: string;
  readonly dead_letter_id: string | null;
  readonly duration_ms: number;
  readonly error: string | null;
  readonly attempts: string | null;
  readonly cuts: number;
  readonly request_headers: string | null;
  readonly response_headers: string | null;
  readonly request_body: Uint8Array | null;
  readonly response_body: Uint8Array | null;
}

export interface BlockRow {
  readonly first_id: number;
  readonly last_id: number;
  readonly oldest_ms: number;
  readonly newest_ms: number;
  /** The values of `Summary` as JSON. */
  readonly listed: string;
  readonly bloom: Uint8Array;
}

export type Value = string | number | Uint8Array | null;
type Ids = { readonly id: number };
type Rows = Statement<Row, Value[]>;

export interface Statements {
  readonly insert: Statement<unknown, Value[]>;
  readonly find: Statement<Row, [id: number]>;
  readonly newest: Statement<Ids, []>;
  readonly oldest: Statement<Ids & { readonly date: number }, []>;
  readonly brief: { readonly down: Rows; readonly up: Rows };
  readonly whole: { readonly down: Rows; readonly up: Rows };
  readonly subjects: Statement<{ readonly subject: string }, [low: number, high: number]>;
  readonly insertBlock: Statement<unknown, Value[]>;
  /** Up to `BLOCKS_AT_ONCE` blocks that begin before the id (down) or end after it (up), the nearest first. */
  readonly blocks: {
    readonly down: Statement<BlockRow, [id: number]>;
    readonly up: Statement<BlockRow, [id: number]>;
  };
  readonly lastBlock: Statement<{ readonly last_id: number }, []>;
  readonly deleteBlocks: Statement<unknown, []>;
  readonly addLeftOut: Statement<unknown, Value[]>;
  readonly sumLeftOut: Statement<{ readonly count: number | null }, Value[]>;
  /** Sums the counts before that time by hour. */
  readonly sumHours: Statement<unknown, [before: number]>;
  readonly deleteMinutes: Statement<unknown, [before: number]>;
  readonly deleteLeftOut: Statement<unknown, [before: number]>;
  /** The last record to delete, beginning with the oldest, to free so many bytes. */
  readonly lastOfBytes: Statement<{ readonly id: number | null }, [bytes: number]>;
  readonly deleteUpTo: Statement<unknown, [id: number]>;
  readonly deleteBefore: Statement<unknown, [id: number, count: number]>;
  readonly pages: Statement<{ readonly page_count: number }, []>;
  readonly freePages: Statement<{ readonly freelist_count: number }, []>;
  /** Returns some free pages to the file system. */
  readonly vacuum: Statement<unknown, []>;
  /** Call it before closing the database: open statements keep the file open. */
  finalize: () => void;
}

const HOUR_MS = 3_600_000;
/** The most blocks that one query returns. */
export const BLOCKS_AT_ONCE = 64;

export function prepare(database: Database): Statements {
  const prepared: { finalize: () => void }[] = [];
  const statement = <Result, Parameters extends Value[]>(sql: string) => {
    const made = database.prepare<Result, Parameters>(sql);
    prepared.push(made);
    return made;
  };
  const select = (columns: string, order: "ASC" | "DESC") =>
    statement<Row, Value[]>(
      `SELECT ${columns} FROM deliveries WHERE ${IS_MEANT} ORDER BY id ${order} LIMIT ?13`,
    );
  const both = (columns: string) => ({ down: select(columns, "DESC"), up: select(columns, "ASC") });
  return {
    insert: statement(`INSERT INTO deliveries VALUES (${Array(COLUMNS).fill("?").join(", ")})`),
    find: statement("SELECT * FROM deliveries WHERE id = ?"),
    newest: statement("SELECT id FROM deliveries ORDER BY id DESC LIMIT 1"),
    oldest: statement("SELECT id, date FROM deliveries ORDER BY id LIMIT 1"),
    brief: both(BRIEF_ONLY),
    whole: both("*"),
    subjects: statement("SELECT DISTINCT subject FROM deliveries WHERE id BETWEEN ? AND ?"),
    insertBlock: statement("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)"),
    blocks: {
      down: statement(
        `SELECT * FROM blocks WHERE first_id < ? ORDER BY first_id DESC LIMIT ${BLOCKS_AT_ONCE}`,
      ),
      // Blocks do not overlap.
      up: statement(
        `SELECT * FROM blocks WHERE first_id >= ifnull(
          (SELECT max(first_id) FROM blocks WHERE first_id <= ?1 AND last_id >= ?1), ?1
        ) ORDER BY first_id LIMIT ${BLOCKS_AT_ONCE}`,
      ),
    },
    lastBlock: statement("SELECT last_id FROM blocks ORDER BY first_id DESC LIMIT 1"),
    deleteBlocks: statement(
      "DELETE FROM blocks WHERE last_id < ifnull((SELECT min(id) FROM deliveries), 9223372036854775807)",
    ),
    addLeftOut: statement(
      `INSERT INTO left_out VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    ),
    sumLeftOut: statement(`SELECT sum(count) AS count FROM left_out WHERE ${MEETS}`),
    sumHours: statement(
      `INSERT INTO left_out SELECT date / ${HOUR_MS} * ${HOUR_MS}, subscription, entrypoint, application, callback_url,
        status, sum(count) FROM left_out WHERE date < ? AND date % ${HOUR_MS} > 0 GROUP BY 1, 2, 3, 4, 5, 6
        ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    ),
    deleteMinutes: statement(`DELETE FROM left_out WHERE date < ? AND date % ${HOUR_MS} > 0`),
    deleteLeftOut: statement("DELETE FROM left_out WHERE date < ?"),
    lastOfBytes: statement(
      `SELECT max(id) AS id FROM (
        SELECT id, bytes, sum(bytes) OVER (ORDER BY id) AS total FROM (${SIZES} ORDER BY id LIMIT 512)
      ) WHERE total - bytes < ?`,
    ),
    deleteUpTo: statement("DELETE FROM deliveries WHERE id <= ?"),
    deleteBefore: statement(
      "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE id < ? ORDER BY id LIMIT ?)",
    ),
    pages: statement("PRAGMA page_count"),
    freePages: statement("PRAGMA freelist_count"),
    vacuum: statement("PRAGMA incremental_vacuum(8)"),
    finalize: () => prepared.forEach((made) => made.finalize()),
  };
}
