// The tables of the delivery log and all SQL statements.

import type { Database, Statement } from "bun:sqlite";

/** What `user_version` says of a file with this layout. */
export const LAYOUT_VERSION = 1;

/** Small columns come first: what a filter looks at is not behind a body. `attempts` is null where the record tells it all. */
export const LAYOUT = `
  CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    date INTEGER NOT NULL,
    status INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL,
    entrypoint TEXT NOT NULL,
    subscription TEXT NOT NULL,
    application TEXT,
    method TEXT NOT NULL,
    callback_url TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    duration_ms REAL NOT NULL,
    error TEXT,
    attempts TEXT,
    cuts INTEGER NOT NULL,
    request_headers TEXT,
    response_headers TEXT,
    request_body BLOB,
    response_body BLOB
  ) STRICT`;

const BRIEF = `id, date, status, dead_lettered, entrypoint, subscription, application, method, callback_url,
  webhook_id, duration_ms, error, attempts, cuts`;
const BRIEF_ONLY = `${BRIEF}, NULL AS request_headers, NULL AS response_headers, NULL AS request_body,
  NULL AS response_body`;

/** ?1 and ?2: ids, both inclusive; ?11: how many. */
const MEETS = `id BETWEEN ?1 AND ?2
  AND (?3 IS NULL OR status BETWEEN ?3 AND ?4)
  AND (?5 IS NULL OR subscription = ?5)
  AND (?6 IS NULL OR application = ?6)
  AND (?7 IS NULL OR entrypoint = ?7)
  AND (?8 IS NULL OR instr(callback_url, ?8) > 0)
  AND (?9 IS NULL OR date >= ?9)
  AND (?10 IS NULL OR date < ?10)`;

/** About what a record takes in the file. */
const SIZES = `SELECT id, 160 + length(callback_url) + ifnull(length(attempts), 0)
  + ifnull(length(request_headers), 0) + ifnull(length(response_headers), 0)
  + ifnull(length(request_body), 0) + ifnull(length(response_body), 0) AS bytes FROM deliveries`;

export interface Row {
  readonly id: number;
  readonly date: number;
  readonly status: number;
  readonly dead_lettered: number;
  readonly entrypoint: string;
  readonly subscription: string;
  readonly application: string | null;
  readonly method: string;
  readonly callback_url: string;
  readonly webhook_id: string;
  readonly duration_ms: number;
  readonly error: string | null;
  readonly attempts: string | null;
  readonly cuts: number;
  readonly request_headers: string | null;
  readonly response_headers: string | null;
  readonly request_body: Uint8Array | null;
  readonly response_body: Uint8Array | null;
}

export type Value = string | number | Uint8Array | null;
type Ids = { readonly id: number };

export interface Statements {
  readonly insert: Statement<unknown, Value[]>;
  readonly find: Statement<Row, [id: number]>;
  readonly newest: Statement<Ids, []>;
  /** So many ids before, or after, this one. */
  readonly before: Statement<Ids, [id: number, count: number]>;
  readonly after: Statement<Ids, [id: number, count: number]>;
  readonly brief: { readonly down: Statement<Row, Value[]>; readonly up: Statement<Row, Value[]> };
  readonly whole: { readonly down: Statement<Row, Value[]>; readonly up: Statement<Row, Value[]> };
  /** Of the oldest, the last one that has to go for so many bytes. */
  readonly lastOfBytes: Statement<{ readonly id: number | null }, [bytes: number]>;
  readonly deleteUpTo: Statement<unknown, [id: number]>;
  readonly deleteBefore: Statement<unknown, [id: number, count: number]>;
  readonly pages: Statement<{ readonly page_count: number }, []>;
  readonly freePages: Statement<{ readonly freelist_count: number }, []>;
  /** Gives back so many pages at the most. */
  readonly vacuum: Statement<unknown, []>;
  /** Without it the file stays open. */
  finalize: () => void;
}

export function prepare(database: Database): Statements {
  const prepared: { finalize: () => void }[] = [];
  const statement = <Result, Parameters extends Value[]>(sql: string) => {
    const made = database.prepare<Result, Parameters>(sql);
    prepared.push(made);
    return made;
  };
  const select = (columns: string, order: "ASC" | "DESC") =>
    statement<Row, Value[]>(
      `SELECT ${columns} FROM deliveries WHERE ${MEETS} ORDER BY id ${order} LIMIT ?11`,
    );
  const both = (columns: string) => ({ down: select(columns, "DESC"), up: select(columns, "ASC") });
  return {
    insert: statement(`INSERT INTO deliveries VALUES (${Array(18).fill("?").join(", ")})`),
    find: statement("SELECT * FROM deliveries WHERE id = ?"),
    newest: statement("SELECT id FROM deliveries ORDER BY id DESC LIMIT 1"),
    before: statement("SELECT id FROM deliveries WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?"),
    after: statement("SELECT id FROM deliveries WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"),
    brief: both(BRIEF_ONLY),
    whole: both("*"),
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
