// Dry run of a config against its NATS server (`relay check --connect`): what a relay would do and what prevents it. Read-only.

import type { Subscription } from "#delivery/subscription.ts";
import type { Logger } from "#lib/logger.ts";

import { requestAccount } from "./account.ts";
import { type ApiAnswer, isForbidden } from "#nats/api.ts";
import { type Connection, openConnection } from "#nats/connection.ts";
import type { Finding } from "./finding.ts";
import { inspectBucket } from "./bucket.ts";
import { nameAll } from "./capacity.ts";
import { inspectConsumers } from "./consumers.ts";
import { inspectDeadLetters } from "./dead-letters.ts";
import type { NatsSettings } from "#nats/settings.ts";

export interface Inspection {
  /** null: not reached; the findings say why. */
  readonly server: { readonly url: string; readonly version: string } | null;
  /** About NATS first, then about the bucket, subscriptions and dead-letter endpoints, in the order of the file. */
  readonly findings: readonly Finding[];
}

const CONNECT_MS = 5000;

/** Does not reject for a fault of NATS. `signal` ends it early. */
export async function inspectNats(
  settings: NatsSettings,
  subscriptions: readonly Subscription[],
  { bucket, signal }: { readonly bucket: string; readonly signal: AbortSignal },
): Promise<Inspection> {
  const failed = new AbortController();
  const connection = openConnection(settings, { logger: createFailureLogger(failed), signal });
  try {
    const isUp = await connection.ready(
      AbortSignal.any([signal, failed.signal, AbortSignal.timeout(CONNECT_MS)]),
    );
    const { server, serverVersion, lastError } = connection.status();
    if (!isUp || server === null) {
      const reason = lastError ?? (signal.aborted ? "stopped" : "no answer in time");
      const message = `Cannot reach ${settings.servers.join(", ")}: ${reason}`;
      return { server: null, findings: [{ level: "error", about: "nats", message }] };
    }
    const version = serverVersion ?? "unknown";
    return {
      server: { url: `nats://${server}`, version },
      findings: [...noteVersion(version), ...(await inspectParts(connection, subscriptions, bucket))],
    };
  } finally {
    await connection.close();
  }
}

async function inspectParts(
  connection: Connection,
  subscriptions: readonly Subscription[],
  bucket: string,
): Promise<readonly Finding[]> {
  const domains = [...new Set<string | null>([null, ...subscriptions.map(({ source }) => source.domain)])];
  const answers = new Map(
    await Promise.all(
      domains.map(async (domain) => [domain, await requestAccount(connection, domain)] as const),
    ),
  );
  const isSpoken = ({ source }: Subscription) => findSilence(answers.get(source.domain)) === null;
  const silent = [...answers].flatMap(([domain, answer]): Finding[] => {
    const reason = findSilence(answer);
    const concerned = subscriptions.filter(({ source }) => source.domain === domain);
    if (reason === null || concerned.length === 0) return [];
    const ids = concerned.map(({ id }) => id);
    return [{ level: "error", about: "nats", message: `${reason}: ${nameAll(ids)} cannot run` }];
  });
  const accountOf = (domain: string | null) => {
    const answer = answers.get(domain);
    return answer?.kind === "ok" ? answer.value : null;
  };
  const [states, consumers, deadLetters] = await Promise.all([
    inspectBucket(connection, bucket, accountOf(null)),
    inspectConsumers(connection, subscriptions.filter(isSpoken), { all: subscriptions, accountOf }),
    inspectDeadLetters(connection, subscriptions, accountOf),
  ]);
  return [...silent, ...states, ...consumers, ...deadLetters];
}

/** Why JetStream of a domain cannot be used at all; null: it can, or the account may not ask. */
function findSilence(answer: ApiAnswer<unknown> | undefined): string | null {
  if (answer?.kind !== "unavailable" || isForbidden(answer)) return null;
  return answer.reason;
}

function noteVersion(version: string): Finding[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 2 || (major === 2 && minor >= 10)) return [];
  const message = `nats-server ${version} is older than 2.10, which several filter subjects and clusters need`;
  return [{ level: "note", about: "nats", message }];
}

/** A dry run tries once: the connection's first warning ends it. */
function createFailureLogger(failed: AbortController): Logger {
  const ignore = () => undefined;
  return {
    debug: ignore,
    info: ignore,
    warn: () => failed.abort(),
    error: ignore,
    isEnabled: (level) => level === "warn",
  };
}
