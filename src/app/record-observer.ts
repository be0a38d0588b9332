// Writes the delivery log: one record for each message that failed or is sampled, at its end.

import { letterSuffix } from "#delivery/dead-letter.ts";
import { toLetterId } from "#delivery/letter-id.ts";
import { type Message, timeToken } from "#delivery/message.ts";
import { describeOutcome, type Failure, statusOf } from "#delivery/outcome.ts";
import {
  type DeliveryRecord,
  type Logging,
  MAX_ATTEMPTS,
  type RecordedAttempt,
  type RecordSettings,
  toRecordedAttempt,
} from "#delivery/record.ts";
import { cutCallbackUrl, cutRecord } from "#delivery/record-mask.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { LeftOutOrigin } from "#delivery-log/left-out.ts";
import type { DeliveryLog } from "#delivery-log/log.ts";
import type { Overrides } from "#delivery-log/overrides.ts";
import { createSampler, type Sampler } from "#delivery-log/sampling.ts";
import type { Attempted, Ending, Observer, Settled } from "#pipeline/observer.ts";
import { type Captures, NO_CAPTURES, toCaptures } from "./captures.ts";

interface RecordObserverOptions {
  readonly log: Pick<DeliveryLog, "append" | "leaveOut">;
  readonly overrides: Pick<Overrides, "of" | "version">;
}

interface Watch {
  readonly settings: RecordSettings;
  readonly isSampled: Sampler;
  readonly origin: LeftOutOrigin;
}

/** A message that has failed. */
interface Trail {
  readonly attempts: readonly RecordedAttempt[];
  readonly error: string;
  /** Of the last attempt: read only if it is kept. */
  readonly captures: () => Captures;
}

type Exchange = Attempted["exchange"];

const UNRECORDED: ReadonlySet<Ending["kind"]> = new Set([
  "delivered",
  "marker",
  "suppressed",
  "skipped",
  "filtered",
]);
const NO_ATTEMPTS: readonly RecordedAttempt[] = [];

export function createRecordObserver({ log, overrides }: RecordObserverOptions): Observer {
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
    const isSampled = createSampler(settings.sampling, { now, random: Math.random });
    const watch = { settings, isSampled, origin: toOrigin(subscription) };
    watches.set(subscription, watch);
    return watch;
  }

  function attempted({ key, subscription, message, attempt, exchange, action }: Attempted): void {
    const { settings, isSampled, origin } = watchOf(subscription);
    const isTaken = attempt === 1 && isSampled();
    const trail = attempt === 1 ? undefined : trails.get(key);
    if (action.kind !== "ack") {
      trails.set(key, toTrail(trail, { message, exchange, logging: settings.logging }));
      return;
    }
    if (!isTaken && trail === undefined) {
      log.leaveOut(origin, statusOf(exchange.outcome));
      return;
    }
    trails.delete(key);
    const attempts = withNewest(trail, exchange);
    const captures = toCaptures(exchange, { message, logging: settings.logging });
    log.append(toRecord({ subscription, message, attempts, ...captures, error: null, deadLetterId: null }));
  }

  function settled({ key, subscription, message, ending }: Settled): void {
    // Recorded at its attempts, or never sent.
    if (UNRECORDED.has(ending.kind)) return;
    const trail = trails.get(key);
    if (trail !== undefined) trails.delete(key);
    const failure = failureOf(ending);
    if (trail === undefined && failure === null) return;
    log.append(
      toRecord({
        subscription,
        message,
        attempts: trail?.attempts ?? NO_ATTEMPTS,
        ...(trail?.captures() ?? NO_CAPTURES),
        error: trail?.error ?? (failure === null ? null : describeOutcome(failure)),
        deadLetterId: letterIdOf(ending, { subscription, message }),
      }),
    );
  }

  return { attempted, settled, postponed: () => {} };
}

/** null: it is no dead letter. */
function letterIdOf(
  ending: Ending,
  { subscription, message }: { subscription: Subscription; message: Message },
): string | null {
  if (ending.kind === "failed-again") return ending.letter?.id ?? null;
  const isStored = ending.kind === "dead-lettered" || (ending.kind === "expired" && ending.endpoint !== null);
  return isStored ? toLetterId(letterSuffix(subscription.id, message)) : null;
}

/** As a record has it. */
function toOrigin({ id, entrypoint, application, callback }: Subscription): LeftOutOrigin {
  return { subscription: id, entrypoint, application, callbackUrl: cutCallbackUrl(callback.displayUrl) };
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
  "attempts" | "request" | "response" | "error" | "deadLetterId"
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
    message: {
      stream: message.stream,
      sequence: message.sequence,
      timeToken: timeToken(message),
      subject: message.subject,
    },
    status: last?.status ?? 0,
    durationMs: last?.durationMs ?? 0,
    ...course,
  });
}
