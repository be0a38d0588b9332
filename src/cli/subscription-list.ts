// Lists the subscriptions and the orphans of a relay, and formats them as tables.

import { type Orphan, orphanSchema } from "#wire/status.ts";
import { type SubscriptionView, subscriptionViewSchema, TROUBLES } from "#wire/subscription.ts";
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
    { title: "ID", textOf: ({ id }) => id, isWhole: true },
    { title: "STATE", textOf: ({ state }) => state, styleOf: styleOfState, isWhole: true },
    { title: "HELD", textOf: ({ held }) => String(held), isNumber: true },
    { title: "IN FLIGHT", textOf: ({ inFlight }) => String(inFlight), isNumber: true },
    { title: "RETRYING", textOf: ({ retrying }) => String(retrying), isNumber: true },
    { title: "PENDING", textOf: ({ pending }) => toCount(pending), isNumber: true },
    { title: "CALLBACK", textOf: ({ callbackUrl }) => callbackUrl, isOptional: true },
    { title: "QOS", textOf: ({ qos }) => qos, isOptional: true },
    ...(subscriptions.some(({ active }) => active !== null)
      ? [{ title: "ACTIVE", textOf: ({ active }: SubscriptionView) => active?.host ?? "" }]
      : []),
    { title: "ORIGIN", textOf: ({ origin }) => origin, isOptional: true },
  ];
  if (subscriptions.length === 0) return "There are no subscriptions.\n";
  return formatTable(subscriptions.toSorted(byTrouble), {
    columns,
    screen,
    noteOf(subscription) {
      const text = reasonOf(subscription, nowMs);
      return text === "" ? null : { text, style: styleOfState(subscription) };
    },
  });
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

/** The worst first; those without trouble stay in the order of their ids. */
function byTrouble(left: SubscriptionView, right: SubscriptionView): number {
  return rankOf(left) - rankOf(right);
}

function rankOf({ trouble }: SubscriptionView): number {
  const rank = trouble === null ? -1 : TROUBLES.indexOf(trouble.kind);
  return rank === -1 ? TROUBLES.length : rank;
}

export function styleOfState({ state, trouble }: SubscriptionView): Style {
  if (state === "failed") return "red";
  if (trouble !== null || state === "waiting") return "yellow";
  return state === "running" ? "green" : "dim";
}

/** Why it does not run, or what is wrong with it; empty where the state says it all. */
function reasonOf(
  { failureCause, failedAt, reason, trouble, oneByOne }: SubscriptionView,
  nowMs: number,
): string {
  if (failureCause !== null)
    return failedAt === null ? failureCause : `${toRelative(failedAt, nowMs)}: ${failureCause}`;
  const text = trouble?.text ?? reason ?? oneByOne ?? "";
  return SAID_BY_STATE.has(text) ? "" : text;
}

/** Reasons that add nothing to `paused` and `stopped`. */
const SAID_BY_STATE: ReadonlySet<string> = new Set(["Paused", "Stopped by its consumer"]);

function toCount(count: number | null): string {
  return count === null ? "" : String(count);
}
