// Lists the subscriptions and the orphans of a relay, and formats them as tables.

import { type Orphan, orphanSchema } from "#wire/status.ts";
import { type SubscriptionView, subscriptionViewSchema } from "#wire/subscription.ts";
import { listAll } from "./answers.ts";
import type { Client } from "./client.ts";
import { toRelative } from "./relative-time.ts";
import { type Column, formatTable } from "./table.ts";
import type { Screen, Style } from "./terminal.ts";

export function listSubscriptions(client: Client): Promise<readonly SubscriptionView[]> {
  return listAll(client, { what: "subscriptions", item: subscriptionViewSchema });
}

/** Consumers that no subscription has. */
export function listOrphans(client: Client): Promise<readonly Orphan[]> {
  return listAll(client, { what: "orphans", item: orphanSchema });
}

export function formatSubscriptions(
  subscriptions: readonly SubscriptionView[],
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  const columns: readonly Column<SubscriptionView>[] = [
    { title: "ID", textOf: ({ id }) => id },
    { title: "STATE", textOf: ({ state }) => state, styleOf: styleOfState },
    { title: "QOS", textOf: ({ qos }) => qos },
    { title: "HELD", textOf: ({ held }) => String(held), isNumber: true },
    { title: "IN FLIGHT", textOf: ({ inFlight }) => String(inFlight), isNumber: true },
    { title: "RETRYING", textOf: ({ retrying }) => String(retrying), isNumber: true },
    { title: "PENDING", textOf: ({ pending }) => toCount(pending), isNumber: true },
    { title: "ORIGIN", textOf: ({ origin }) => origin },
    { title: "CALLBACK", textOf: ({ callbackUrl }) => callbackUrl },
    { title: "WHY", textOf: (subscription) => reasonOf(subscription, nowMs) },
  ];
  if (subscriptions.length === 0) return "There are no subscriptions.\n";
  return formatTable(subscriptions, { columns, screen });
}

export function formatOrphans(orphans: readonly Orphan[], screen: Screen): string {
  const columns: readonly Column<Orphan>[] = [
    { title: "ORPHAN", textOf: ({ consumer }) => consumer, styleOf: () => "yellow" },
    { title: "STREAM", textOf: ({ stream }) => stream },
    { title: "DOMAIN", textOf: ({ domain }) => domain ?? "" },
    { title: "PENDING", textOf: ({ pending }) => toCount(pending), isNumber: true },
    { title: "ACK PENDING", textOf: ({ ackPending }) => toCount(ackPending), isNumber: true },
  ];
  return formatTable(orphans, { columns, screen });
}

export function styleOfState({ state }: SubscriptionView): Style {
  if (state === "running") return "green";
  if (state === "failed") return "red";
  return state === "waiting" ? "yellow" : "dim";
}

/** Why it does not consume; empty where there is nothing to say. */
function reasonOf({ failureCause, failedAt, reason }: SubscriptionView, nowMs: number): string {
  if (failureCause === null) return reason ?? "";
  return failedAt === null ? failureCause : `${toRelative(failedAt, nowMs)}: ${failureCause}`;
}

function toCount(count: number | null): string {
  return count === null ? "" : String(count);
}
