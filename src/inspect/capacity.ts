// Checks that each stream allows as many consumers as the config needs. One finding per stream.

import { limitsOf } from "./account.ts";
import type { AccountInfo, StreamInfo } from "#nats/answers.ts";
import type { Finding } from "./finding.ts";

/** A stream, and the subscriptions that need a new consumer in it. */
export interface Wish {
  readonly stream: StreamInfo;
  readonly account: AccountInfo | null;
  readonly ids: readonly string[];
}

/** The default limit per stream of servers since 2.15, which they do not show. */
const DEFAULT_MAX_CONSUMERS = 1000;
const FIRST_WITH_DEFAULT = [2, 15] as const;
const MAX_NAMED = 5;

export function inspectCapacity(wishes: readonly Wish[], serverVersion: string): readonly Finding[] {
  return wishes.flatMap((wish) => {
    const { stream, ids } = wish;
    const limit = findLimit(wish);
    const isDefault = limit === null && hasDefault(serverVersion);
    const most = limit ?? (isDefault ? DEFAULT_MAX_CONSUMERS : Infinity);
    const room = Math.max(0, most - stream.state.consumer_count);
    if (ids.length <= room) return [];
    const left = ids.slice(room);
    const { name } = stream.config;
    const takes = `Stream ${name} takes ${count(most, "consumer")}${isDefault ? " where the server's default_max_consumers is not raised" : ""}`;
    const message = `${takes}, and has ${stream.state.consumer_count}: ${nameAll(left)} cannot run`;
    return [{ level: isDefault ? "warning" : "error", about: `stream ${name}`, message } as const];
  });
}

/** The lower limit of stream and account; null: none is known. */
export function findLimit({ stream, account }: Omit<Wish, "ids">): number | null {
  const { max_consumers: own, num_replicas: replicas } = stream.config;
  const ofAccount = account === null ? null : (limitsOf(account, replicas)?.maxConsumers ?? null);
  if (own <= 0) return ofAccount;
  return ofAccount === null ? own : Math.min(own, ofAccount);
}

function hasDefault(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [firstMajor, firstMinor] = FIRST_WITH_DEFAULT;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

export function nameAll(ids: readonly string[]): string {
  const more = ids.length - MAX_NAMED;
  const noun = ids.length === 1 ? "subscription" : "subscriptions";
  const names = ids.slice(0, MAX_NAMED).join(", ");
  return `${noun} ${names}${more > 0 ? ` and ${count(more, "more")}` : ""}`;
}

function count(number: number, noun: string): string {
  const text = number.toLocaleString("en");
  return noun === "more" || number === 1 ? `${text} ${noun}` : `${text} ${noun}s`;
}
