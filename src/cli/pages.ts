// All of a list that a relay has, page by page.

import { RelayError } from "#lib/errors.ts";
import type { Page } from "./answers.ts";
import { type Client, expectDone } from "./client.ts";

const PAGE_SIZE = 500;
const MAX_PAGES = 200;

/** `what`: its path below `/api`, which is its name too. Rejects with a RelayError. */
export async function listAll<T>(
  client: Client,
  { what, toPage }: { what: string; toPage: (value: unknown) => Page<T> },
): Promise<readonly T[]> {
  const all: T[] = [];
  let after = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await client.ask("GET", `api/${what}?limit=${PAGE_SIZE}${after}`);
    const { items, next } = toPage(expectDone(answer, `list the ${what}`));
    all.push(...items);
    if (next === null) return all;
    after = `&cursor=${encodeURIComponent(next)}`;
  }
  throw new RelayError("unavailable", `Cannot list more than ${PAGE_SIZE * MAX_PAGES} ${what}`);
}
