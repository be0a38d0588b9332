// The durable consumer of a subscription: brought to what the subscription asks for, without losing its place.

import { parseNatsTimestamp } from "#delivery/message.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";

import type { ConsumerInfo, StreamInfo } from "./answers.ts";
import { API_ERRORS } from "./api.ts";
import type { Connection } from "./connection.ts";
import {
  type ConsumerSettings,
  type Start,
  toConsumerConfig,
  toMovedConfig,
  toUpdatedConfig,
} from "./consumer-config.ts";
import { floorOf, requestConsumerInfo, requestDelete, wasOvertaken } from "./consumer-info.ts";
import { type ConsumerPlan, describeRecreation, planConsumer, type Sight } from "./consumer-plan.ts";
import { cannot, checkEcho, refusal, requestPut, toError } from "./consumer-put.ts";
import { checkContinuity, type Continuity, type Position, type RememberedPosition } from "./position.ts";
import { readStream } from "./stream.ts";

export interface AlignedConsumer {
  readonly consumerCreated: string;
  readonly streamCreated: string;
  /** Of the stream: its last message, which may be deleted by now. */
  readonly lastSequence: number;
  readonly lastTimestampNanos: bigint | null;
  /** Of the stream with what Relay remembers of it. */
  readonly continuity: Continuity;
  /** Everything of the stream up to it is done; without acks: delivered; null: not known. */
  readonly ackFloor: number | null;
  readonly change: "kept" | "created" | "updated" | "recreated";
  /** For people: what could not be done as asked, or was done in another way. */
  readonly notes: readonly string[];
}

/** Another relay may be at the same consumer: look again, so often at most. */
const MAX_LOOKS = 6;
const LOOK_AGAIN_MS = 50;
const UNKNOWN: Continuity = { kind: "unknown" };

/** One look came to an end, or found that the ground had moved. */
type Look = { readonly kind: "aligned"; readonly aligned: AlignedConsumer } | { readonly kind: "look-again" };

export interface AlignOptions {
  /** What Relay itself knows to be done; null: nothing. A consumer that is gone starts after it. */
  readonly position: RememberedPosition | null;
  /** Asked when a consumer with other acks is about to be deleted, which may be that of another relay. */
  readonly mayTakeAcks: () => boolean;
}

interface Alignment extends AlignOptions {
  readonly connection: Connection;
  readonly settings: ConsumerSettings;
}

interface Planned<Kind extends ConsumerPlan["kind"]> {
  readonly stream: StreamInfo;
  readonly plan: Extract<ConsumerPlan, { kind: Kind }>;
  readonly continuity: Continuity;
  readonly isLast: boolean;
}

/**
 * Makes the consumer, or changes it in place, or makes it anew at its last position where JetStream cannot change it.
 * Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`.
 */
export async function alignConsumer(
  connection: Connection,
  settings: ConsumerSettings,
  { position = null, mayTakeAcks = () => true }: Partial<AlignOptions> = {},
): Promise<AlignedConsumer> {
  const alignment = { connection, settings, position, mayTakeAcks };
  for (let looks = 1; looks <= MAX_LOOKS; looks += 1) {
    const look = await lookOnce(alignment, looks === MAX_LOOKS);
    if (look.kind === "aligned") return look.aligned;
    await pauseAfter(looks);
  }
  throw refusal(settings, "somebody else keeps changing it");
}

async function lookOnce(alignment: Alignment, isLast: boolean): Promise<Look> {
  const { connection, settings } = alignment;
  const sight = await lookAtConsumer(connection, settings);
  const { stream } = sight;
  const position = await checkPosition(alignment, stream);
  const continuity = position?.continuity ?? UNKNOWN;
  const plan = planConsumer(sight, settings, position);
  switch (plan.kind) {
    case "refuse":
      throw refusal(settings, plan.reason);
    case "keep":
      return aligned(stream, plan.consumer, { change: "kept", notes: plan.notes, continuity });
    case "create": {
      const { start, notes, isKnown } = plan.planned;
      return make(alignment, {
        stream,
        start,
        notes,
        change: isKnown ? "recreated" : "created",
        continuity,
        isLast,
      });
    }
    case "update":
      return update(alignment, { stream, plan, continuity, isLast });
    case "recreate":
      return remake(alignment, { stream, plan, continuity, isLast });
  }
}

async function checkPosition(
  { connection, settings, position }: Alignment,
  info: StreamInfo,
): Promise<Position | null> {
  if (position === null) return null;
  const { domain, stream } = settings.source;
  const { streamCreated, sequence } = position;
  const continuity = await checkContinuity(connection, { domain, stream, info }, position);
  return { streamCreated, sequence, continuity };
}

/** Makes the consumer anew at another place. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export async function moveConsumer(
  connection: Connection,
  settings: ConsumerSettings,
  start: DeliverPolicy,
): Promise<AlignedConsumer> {
  const stream = await readSource(connection, settings);
  for (let looks = 1; ; looks += 1) {
    const info = await moveOnce(connection, settings, { start, isLast: looks === MAX_LOOKS });
    if (info !== null) return toAligned(stream, info, { change: "created", notes: [], continuity: UNKNOWN });
    await pauseAfter(looks);
  }
}

/** null: another relay was quicker to make it at its old place. */
async function moveOnce(
  connection: Connection,
  settings: ConsumerSettings,
  { start, isLast }: { start: DeliverPolicy; isLast: boolean },
): Promise<ConsumerInfo | null> {
  if (!(await removeOnce(connection, settings, isLast))) return null;
  const config = toMovedConfig(settings, start);
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return answer.value;
  }
  if (isLast || !(await isPresent(connection, settings))) throw toError(settings, answer);
  return null;
}

/** False: there is one, which may be another than was to be removed. */
async function removeOnce(
  connection: Connection,
  settings: ConsumerSettings,
  isLast: boolean,
): Promise<boolean> {
  const { domain, stream } = settings.source;
  const answer = await requestDelete(connection, { domain, stream, durable: settings.durable });
  if (answer.kind === "ok") return true;
  if (answer.kind === "refused" && !isLast) return false;
  throw new RelayError("nats-unavailable", `${cannot(settings)}: ${answer.reason}`);
}

async function pauseAfter(looks: number): Promise<void> {
  await sleep(LOOK_AGAIN_MS * looks * (0.5 + Math.random()), new AbortController().signal);
}

/** Changes nothing. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export async function lookAtConsumer(connection: Connection, settings: ConsumerSettings): Promise<Sight> {
  const { source, durable } = settings;
  const stream = await readSource(connection, settings);
  const { domain } = source;
  const answer = await requestConsumerInfo(connection, { domain, stream: source.stream, durable });
  if (answer.kind === "ok") return { stream, consumer: answer.value };
  const isMissing = answer.kind === "refused" && answer.code === API_ERRORS.consumerNotFound;
  if (!isMissing) throw toError(settings, answer);
  return { stream, consumer: null };
}

async function readSource(connection: Connection, settings: ConsumerSettings): Promise<StreamInfo> {
  let stream: StreamInfo | null;
  try {
    stream = await readStream(connection, settings.source);
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    throw new RelayError("nats-unavailable", `${cannot(settings)}: ${error.message}`, { cause: error });
  }
  if (stream === null) throw new RelayError("stream-missing", `${cannot(settings)}: stream not found`);
  return stream;
}

async function make(
  { connection, settings }: Alignment,
  making: {
    stream: StreamInfo;
    start: Start;
    notes: readonly string[];
    change: "created" | "recreated";
    continuity: Continuity;
    isLast: boolean;
  },
): Promise<Look> {
  const config = toConsumerConfig(settings, making.start);
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(making.stream, answer.value, making);
  }
  const isOvertaken = wasOvertaken(answer) || (await isPresent(connection, settings));
  if (!isOvertaken || making.isLast) throw toError(settings, answer);
  return { kind: "look-again" };
}

async function update(
  { connection, settings }: Alignment,
  { stream, plan, continuity, isLast }: Planned<"update">,
): Promise<Look> {
  const config = toUpdatedConfig(plan.consumer.config, settings);
  const answer = await requestPut(connection, { settings, config, action: "update" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(stream, answer.value, { change: "updated", notes: plan.notes, continuity });
  }
  const isOvertaken = wasOvertaken(answer) || !(await isPresent(connection, settings));
  if (!isOvertaken || isLast) throw toError(settings, answer);
  return { kind: "look-again" };
}

async function remake(
  alignment: Alignment,
  { stream, plan, continuity, isLast }: Planned<"recreate">,
): Promise<Look> {
  const { settings, mayTakeAcks } = alignment;
  if (plan.takesAcks && !mayTakeAcks()) {
    throw refusal(settings, "another relay wants it with another quality of service");
  }
  if (!(await removeOnce(alignment.connection, settings, isLast))) return { kind: "look-again" };
  const { start, notes } = plan.planned;
  const note = `Consumer ${settings.durable} was made ${describeRecreation(plan)}`;
  return make(alignment, { stream, start, notes: [note, ...notes], change: "recreated", continuity, isLast });
}

function aligned(...told: Parameters<typeof toAligned>): Look {
  return { kind: "aligned", aligned: toAligned(...told) };
}

function toAligned(
  stream: StreamInfo,
  info: ConsumerInfo,
  { change, notes, continuity }: Pick<AlignedConsumer, "change" | "notes" | "continuity">,
): AlignedConsumer {
  const { last_seq: lastSequence, last_ts: lastTime } = stream.state;
  const floor = floorOf(info, lastSequence);
  return {
    consumerCreated: info.created,
    streamCreated: stream.created,
    lastSequence,
    lastTimestampNanos: parseNatsTimestamp(lastTime),
    // Servers say that what is to start beyond the end was delivered up to its start.
    ackFloor: floor === null ? null : Math.min(floor, lastSequence),
    continuity,
    change,
    notes,
  };
}

/** False also if that cannot be known. */
async function isPresent(connection: Connection, { source, durable }: ConsumerSettings): Promise<boolean> {
  const answer = await requestConsumerInfo(connection, {
    domain: source.domain,
    stream: source.stream,
    durable,
  });
  return answer.kind === "ok";
}
