// All subscriptions of a relay, and all orphans that it sees.

import type { Orphan } from "#wire/status.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import { toOrphanPage, toSubscriptionPage } from "./answers.ts";
import type { Client } from "./client.ts";
import { listAll } from "./pages.ts";

export function listSubscriptions(client: Client): Promise<readonly SubscriptionView[]> {
  return listAll(client, { what: "subscriptions", toPage: toSubscriptionPage });
}

/** Consumers that no subscription has. */
export function listOrphans(client: Client): Promise<readonly Orphan[]> {
  return listAll(client, { what: "orphans", toPage: toOrphanPage });
}
