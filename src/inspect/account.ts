// The JetStream limits of the account.

import { type AccountInfo, accountInfo } from "#nats/answers.ts";
import { type ApiAnswer, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";

/** Limits of streams with the same number of replicas; null: no limit. */
interface AccountLimits {
  readonly maxStreams: number | null;
  /** The number of existing streams. */
  readonly streams: number;
  /** For each stream. */
  readonly maxConsumers: number | null;
  readonly maxAckPending: number | null;
  /** Each stream must have `max_bytes`. */
  readonly isMaxBytesRequired: boolean;
  /** For each stream. */
  readonly maxStreamBytes: number | null;
}

export function requestAccount(
  connection: Connection,
  domain: string | null,
): Promise<ApiAnswer<AccountInfo>> {
  return requestApi(connection, { domain, call: "INFO", schema: accountInfo });
}

export function limitsOf(account: AccountInfo, replicas: number): AccountLimits {
  const { streams, limits } = account.tiers?.[`R${replicas}`] ?? account;
  return {
    maxStreams: limitOf(limits.max_streams),
    streams,
    maxConsumers: limitOf(limits.max_consumers),
    maxAckPending: limitOf(limits.max_ack_pending),
    isMaxBytesRequired: limits.max_bytes_required,
    maxStreamBytes: limitOf(limits.storage_max_stream_bytes),
  };
}

/** Servers send -1 or 0 for no limit. */
function limitOf(value = 0): number | null {
  return value > 0 ? value : null;
}

/** Why the account allows no new stream; null: no reason known. */
export function findStreamRefusal(
  account: AccountInfo | null,
  { replicas, maxBytes }: { replicas: number; maxBytes: number },
): string | null {
  const limits = account === null ? null : limitsOf(account, replicas);
  if (limits === null) return null;
  if (limits.maxStreams !== null && limits.streams >= limits.maxStreams) {
    return `the account takes ${limits.maxStreams} streams, and has ${limits.streams}`;
  }
  if (limits.isMaxBytesRequired && maxBytes <= 0)
    return "the account takes only streams with a limit of bytes";
  return limits.maxStreamBytes !== null && maxBytes > limits.maxStreamBytes
    ? `the account takes only streams of up to ${limits.maxStreamBytes} bytes`
    : null;
}
