// `relay subscriptions show`: formats one subscription with all its facts.

import { counted } from "#lib/counted.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import { toRelative } from "./relative-time.ts";
import { paint, type Screen } from "./terminal.ts";
import { styleOfState } from "./subscription-list.ts";

interface View {
  readonly screen: Screen;
  readonly nowMs: number;
}

/** `definition`: as it is written, secrets masked; null: it is not known. */
export function formatSubscription(
  subscription: SubscriptionView,
  { definition, screen, nowMs }: View & { readonly definition: unknown },
): string {
  const facts = listFacts(subscription, nowMs).filter(([, text]) => text !== "");
  const width = Math.max(...facts.map(([name]) => name.length));
  const state = paint(screen, styleOfState(subscription), clean(subscription.state));
  const lines = [
    `${paint(screen, "bold", clean(subscription.id))}  ${state}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(width)}  ${clean(text)}`),
  ];
  const written = definition === null || definition === undefined ? "" : `\n${toSafeJson(definition)}`;
  return `${lines.join("\n")}\n${written}`;
}

function listFacts(view: SubscriptionView, nowMs: number): readonly (readonly [string, string])[] {
  const { source, startingAt, endingAt, failureCause, failedAt } = view;
  const subjects = source.subjects.length === 0 ? "all subjects" : source.subjects.join(", ");
  const domain = source.domain === null ? "" : ` in domain ${source.domain}`;
  return [
    ["status", `${view.status}, consumer ${view.consumerStatus}`],
    ["failed", failedAt === null ? "" : toRelative(failedAt, nowMs)],
    ["cause", failureCause ?? ""],
    ["waits", view.reason ?? ""],
    [
      "active",
      view.active === null ? "" : `${view.active.host}, since ${toRelative(view.active.since, nowMs)}`,
    ],
    ["one by one", view.oneByOne ?? ""],
    ["next try", view.nextTryAt === null ? "" : toRelative(view.nextTryAt, nowMs)],
    ["not stored", view.notStored ?? ""],
    ["callback", view.callbackUrl],
    ["entrypoint", `${view.entrypoint}, ${view.qos}`],
    ["source", `${source.stream}${domain}, ${subjects}`],
    ["consumer", source.consumer],
    ["application", view.application ?? ""],
    ["starts", startingAt === null ? "" : `${startingAt} (${toRelative(startingAt, nowMs)})`],
    ["ends", endingAt === null ? "" : `${endingAt} (${toRelative(endingAt, nowMs)})`],
    ["messages", describeMessages(view)],
    ["pace", describePace(view)],
    ["parked", describeParked(view)],
    ["made by", view.origin === "file" ? "the config file" : `API, revision ${view.revision ?? "unknown"}`],
  ];
}

function describePace({ maxInFlight, maxPerSecond }: SubscriptionView): string {
  const rate = maxPerSecond === null ? "" : `, ${maxPerSecond} a second`;
  return `${counted(maxInFlight, "request")} at a time${rate}`;
}

function describeParked({ parkedKeys, parkedMessages }: SubscriptionView): string {
  return parkedKeys === 0 ? "" : `${counted(parkedKeys, "key")} with ${counted(parkedMessages, "message")}`;
}

function describeMessages(view: SubscriptionView): string {
  const { held, inFlight, retrying, oldestHeldSeconds, pending, ackPending } = view;
  const oldest = held === 0 ? "" : `, the oldest for ${Math.round(oldestHeldSeconds)} s`;
  const here = `${held} held${oldest}, ${inFlight} in flight, ${retrying} waiting for a retry`;
  const there = pending === null ? "" : `; ${pending} to come, ${ackPending ?? 0} not acknowledged`;
  return here + there;
}
