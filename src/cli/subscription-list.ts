// All subscriptions of a relay, and all orphans that it sees, page by page.

import type { Orphan } from "#http/orphans.ts";
import type { SubscriptionView } from "#http/subscription-view.ts";
import { RelayError } from "#lib/errors.ts";
import { type Page, toOrphanPage, toSubscriptionPage } from "./answers.ts";
import { type Client, expectDone } from "./client.ts";

const PAGE_SIZE = 500;
const MAX_PAGES = 200;

export function listSubscriptions(client: Client): Promise<readonly SubscriptionView[]> {
  return listAll(client, { what: "subscriptions", toPage: toSubscriptionPage });
}

/** Consumers that no subscription has. */
export function listOrphans(client: Client): Promise<readonly Orphan[]> {
  return listAll(client, { what: "orphans", toPage: toOrphanPage });
}

async function listAll<T>(
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
