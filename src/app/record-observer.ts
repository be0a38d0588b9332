// Writes the delivery log: one record for each message that failed or is sampled, at its end.

import { type Message, toWebhookId } from "#delivery/message.ts";
import { describeOutcome, type Failure } from "#delivery/outcome.ts";
import {
  type DeliveryRecord,
  type Logging,
  MAX_ATTEMPTS,
  type RecordedAttempt,
  type RecordSettings,
  toRecordedAttempt,
} from "#delivery/record.ts";
import { cutRecord } from "#delivery/record-mask.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { Overrides } from "#delivery-log/overrides.ts";
import { createSampler, type Sampler } from "#delivery-log/sampling.ts";
import type { Attempted, Ending, Observer, Settled } from "#pipeline/observer.ts";
import { type Captures, NO_CAPTURES, toCaptures } from "./captures.ts";

interface RecordObserverOptions {
  readonly append: (record: DeliveryRecord) => void;
  readonly overrides: Pick<Overrides, "of" | "version">;
}

interface Watch {
  readonly settings: RecordSettings;
  readonly isSampled: Sampler;
}

/** A message that has failed. */
interface Trail {
  readonly attempts: readonly RecordedAttempt[];
  readonly error: string;
  /** Of the last attempt: read only if it is kept. */
  readonly captures: () => Captures;
}

type Exchange = Attempted["exchange"];

const UNRECORDED: ReadonlySet<Ending["kind"]> = new Set(["delivered", "marker", "suppressed", "skipped"]);
const NO_ATTEMPTS: readonly RecordedAttempt[] = [];

export function createRecordObserver({ append, overrides }: RecordObserverOptions): Observer {
  const trails = new WeakMap<object, Trail>();
  let watches = new WeakMap<Subscription, Watch>();
  let version = overrides.version;

  function watchOf(subscription: Subscription): Watch {
    if (version !== overrides.version) {
      version = overrides.version;
      watches = new WeakMap();
    }
    const known = watches.get(subscription);
    if (known !== undefined) return known;
    const settings = overrides.of(subscription.entrypoint) ?? subscription.recording;
    const now = () => performance.now();
    const watch = { settings, isSampled: createSampler(settings.sampling, { now, random: Math.random }) };
    watches.set(subscription, watch);
    return watch;
  }

  function attempted({ key, subscription, message, attempt, exchange, action }: Attempted): void {
    const { settings, isSampled } = watchOf(subscription);
    const isTaken = attempt === 1 && isSampled();
    const trail = attempt === 1 ? undefined : trails.get(key);
    if (action.kind !== "ack") {
      trails.set(key, toTrail(trail, { message, exchange, logging: settings.logging }));
      return;
    }
    if (!isTaken && trail === undefined) return;
    trails.delete(key);
    const attempts = withNewest(trail, exchange);
    const captures = toCaptures(exchange, { message, logging: settings.logging });
    append(toRecord({ subscription, message, attempts, ...captures, error: null, deadLettered: false }));
  }

  function settled({ key, subscription, message, ending }: Settled): void {
    // Recorded at its attempts, or never sent.
    if (UNRECORDED.has(ending.kind)) return;
    const trail = trails.get(key);
    if (trail !== undefined) trails.delete(key);
    const failure = failureOf(ending);
    if (trail === undefined && failure === null) return;
    append(
      toRecord({
        subscription,
        message,
        attempts: trail?.attempts ?? NO_ATTEMPTS,
        ...(trail?.captures() ?? NO_CAPTURES),
        error: trail?.error ?? (failure === null ? null : describeOutcome(failure)),
        deadLettered: ending.kind === "dead-lettered" || ending.kind === "failed-again",
      }),
    );
  }

  return { attempted, settled, postponed: () => {} };
}

function failureOf(ending: Ending): Failure | null {
  return "failure" in ending ? ending.failure : null;
}

interface Outlook {
  readonly message: Message;
  readonly logging: Logging;
}

function toTrail(
  trail: Trail | undefined,
  { exchange, ...outlook }: Outlook & { exchange: Exchange },
): Trail {
  return {
    attempts: withNewest(trail, exchange),
    error: describeOutcome(exchange.outcome),
    captures: () => toCaptures(exchange, outlook),
  };
}

function withNewest(trail: Trail | undefined, exchange: Exchange): readonly RecordedAttempt[] {
  const attempt = toRecordedAttempt(exchange);
  return trail === undefined ? [attempt] : [...trail.attempts.slice(1 - MAX_ATTEMPTS), attempt];
}

interface Course extends Pick<
  DeliveryRecord,
  "attempts" | "request" | "response" | "error" | "deadLettered"
> {
  readonly subscription: Subscription;
  readonly message: Message;
}

function toRecord({ subscription, message, ...course }: Course): DeliveryRecord {
  const { attempts } = course;
  const last = attempts.at(-1);
  return cutRecord({
    date: attempts[0]?.date ?? new Date(),
    entrypoint: subscription.entrypoint,
    subscription: subscription.id,
    application: subscription.application,
    method: subscription.callback.method,
    callbackUrl: subscription.callback.displayUrl,
    webhookId: toWebhookId(message),
    status: last?.status ?? 0,
    durationMs: last?.durationMs ?? 0,
    ...course,
  });
}
