// Checks the answer of a relay against the schema of the API, and reads a list page by page.

import * as v from "valibot";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import { type Page, pageSchema, type ViewOf } from "#wire/view.ts";
import { type Client, expectDone } from "./client.ts";

const PAGE_SIZE = 500;
const MAX_PAGES = 200;

/**
 * A newer relay may say more than this program knows: other keys and words are let through, and so is what only breaks
 * a bound. Throws a RelayError `unavailable` where a key is missing or holds another type.
 */
export function parseAnswer<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): ViewOf<Schema> {
  const fault = v.safeParse(schema, value).issues?.find((issue) => !isNewer(issue));
  if (fault === undefined) return value as ViewOf<Schema>;
  const where = clean(v.getDotPath(fault) ?? "the whole");
  const why = `it is that of another version of Relay, or of another program (${where})`;
  throw new RelayError("unavailable", `Cannot read the answer: ${why}`);
}

function isNewer({ kind, type, expected, input }: v.BaseIssue<unknown>): boolean {
  const isUnknownKey = expected === "never";
  const isUnknownWord = type === "picklist" && typeof input === "string";
  return kind !== "schema" || isUnknownKey || isUnknownWord;
}

/** `what`: its name for people, which is its path below `/api` too where no other one is given. Rejects with a RelayError. */
export async function listAll<const Item extends v.GenericSchema>(
  client: Client,
  { what, path = `api/${what}`, item }: { what: string; path?: string; item: Item },
): Promise<readonly ViewOf<Item>[]> {
  const schema = pageSchema(item);
  const all: ViewOf<Item>[] = [];
  let after = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await client.ask("GET", `${path}?limit=${PAGE_SIZE}${after}`);
    const value = parseAnswer(schema, expectDone(answer, `list the ${what}`));
    const { items, next } = value as Page<ViewOf<Item>>;
    all.push(...items);
    if (next === null) return all;
    after = `&cursor=${encodeURIComponent(next)}`;
  }
  throw new RelayError("unavailable", `Cannot list more than ${PAGE_SIZE * MAX_PAGES} ${what}`);
}
