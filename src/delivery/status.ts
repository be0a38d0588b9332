// The status of a subscription, shared by all relays: its operator's and its consumer's wish, and its failure.
//
//   command        sets
//   pause, resume  status PAUSED, ACCEPTED; resume also clears FAILURE
//   stop, start    consumerStatus STOPPED, STARTED; start also clears FAILURE
//   (failure)      consumerStatus FAILURE, with its cause, unless it is STOPPED or the cause is to be skipped
//   (stop)         consumerStatus STOPPED, with the answer by which its callback asked for that
//   (recovery)     consumerStatus STARTED, from FAILURE

import { parseJson } from "#lib/json.ts";

/** The permanent identity of a message. */
export interface MessageRef {
  readonly stream: string;
  readonly sequence: number;
  readonly timestampNanos: bigint;
}

export interface FailureCause {
  /** For people: which message, and the answer of its callback. */
  readonly text: string;
  readonly at: Date;
  /** Null: no single message. */
  readonly message: MessageRef | null;
  /** True: the callback does not want the subscription any more, which is STOPPED by that. */
  readonly stops?: boolean;
}

/** The operator's wish; `CLOSED`, of a subscription after its end date, follows from its dates. */
export type OperatorStatus = "ACCEPTED" | "PAUSED";

export interface SubscriptionStatus {
  readonly status: OperatorStatus;
  readonly consumerStatus: "STARTED" | "STOPPED" | "FAILURE";
  /** Null unless `consumerStatus` is FAILURE, or its callback stopped it. */
  readonly failure: FailureCause | null;
  /** The message to acknowledge without a request when it is redelivered; null: none. */
  readonly skip: MessageRef | null;
}

export type Command =
  | { readonly kind: "pause" }
  /** `skip`: do not send the message that caused the failure again. */
  | { readonly kind: "resume"; readonly skip: boolean }
  | { readonly kind: "stop" }
  | { readonly kind: "start" };

export function initialStatus(status: OperatorStatus): SubscriptionStatus {
  return { status, consumerStatus: "STARTED", failure: null, skip: null };
}

/** Returns the same object if nothing changes. */
export function applyCommand(current: SubscriptionStatus, command: Command): SubscriptionStatus {
  switch (command.kind) {
    case "pause":
      return current.status === "PAUSED" ? current : { ...current, status: "PAUSED" };
    case "resume": {
      const cleared = recover(current);
      const skip = command.skip ? (current.failure?.message ?? current.skip) : current.skip;
      return cleared.status === "ACCEPTED" && skip === cleared.skip
        ? cleared
        : { ...cleared, status: "ACCEPTED", skip };
    }
    case "stop":
      return current.consumerStatus === "STOPPED"
        ? current
        : { ...current, consumerStatus: "STOPPED", failure: null };
    case "start":
      return current.consumerStatus === "STARTED"
        ? current
        : { ...current, consumerStatus: "STARTED", failure: null };
  }
}

/** The parts that a command sets, whatever their value. */
export function statusPartsOf({ kind }: Command): readonly StatusPart[] {
  switch (kind) {
    case "pause":
      return ["operator"];
    case "resume":
      return ["operator", "failure"];
    case "stop":
    case "start":
      return ["consumer"];
  }
}

/** Returns the same object if nothing changes: the message may have been marked for skipping meanwhile. */
export function fail(current: SubscriptionStatus, failure: FailureCause): SubscriptionStatus {
  const { consumerStatus, skip } = current;
  const isSkipped = skip !== null && failure.message !== null && isSameMessage(skip, failure.message);
  if (consumerStatus === "STOPPED" || isSkipped) return current;
  return { ...current, consumerStatus: failure.stops === true ? "STOPPED" : "FAILURE", failure };
}

export function recover(current: SubscriptionStatus): SubscriptionStatus {
  if (current.consumerStatus !== "FAILURE") return current;
  return { ...current, consumerStatus: "STARTED", failure: null };
}

export function isSameMessage(left: MessageRef, right: MessageRef): boolean {
  return (
    left.sequence === right.sequence &&
    left.timestampNanos === right.timestampNanos &&
    left.stream === right.stream
  );
}

export type StatusPart = "operator" | "consumer" | "failure" | "skip";

/** The order of writing: the skipped message is stored before the failure is cleared. */
export const STATUS_PARTS: readonly StatusPart[] = ["skip", "operator", "consumer", "failure"];

/**
 * The stored form: each part by itself, so that two relays can change different parts at the same time.
 * `declared`: the status in the definition; a new value there takes effect again.
 */
export function formatStatus(
  { status, consumerStatus, failure, skip }: SubscriptionStatus,
  declared: OperatorStatus,
): Readonly<Record<StatusPart, string>> {
  return {
    operator: JSON.stringify({ status, declared }),
    consumer: JSON.stringify({ status: consumerStatus === "STOPPED" ? "STOPPED" : "STARTED" }),
    failure: JSON.stringify(failure === null ? null : { ...failure, message: toKept(failure.message) }),
    skip: JSON.stringify(toKept(skip)),
  };
}

function toKept(ref: MessageRef | null): unknown {
  return ref === null ? null : { ...ref, timestampNanos: String(ref.timestampNanos) };
}

/** Null: not stored. An invalid part counts as not stored. */
export type KeptStatus = Readonly<Record<StatusPart, string | null>>;

export function parseStatus(kept: KeptStatus, declared: OperatorStatus): SubscriptionStatus {
  const initial = initialStatus(parseOperator(kept)?.status ?? declared);
  const skip = parseSkip(kept.skip);
  const failure = parseFailure(parseStored(kept.failure));
  if (toFields(parseStored(kept.consumer))["status"] === "STOPPED") {
    return { ...initial, consumerStatus: "STOPPED", failure: failure?.stops === true ? failure : null, skip };
  }
  return failure === null || failure.stops === true
    ? { ...initial, skip }
    : { ...initial, consumerStatus: "FAILURE", failure, skip };
}

/** The stored part that is read alone, for each message. */
export function parseSkip(kept: string | null): MessageRef | null {
  return parseRef(parseStored(kept));
}

/** The status in the definition when the operator's part was written; null: unknown. */
export function parseDeclared(kept: KeptStatus): OperatorStatus | null {
  return parseOperator(kept)?.declared ?? null;
}

function parseOperator(kept: KeptStatus): { status: OperatorStatus; declared: OperatorStatus } | null {
  const { status, declared } = toFields(parseStored(kept.operator));
  return isOperatorStatus(status) && isOperatorStatus(declared) ? { status, declared } : null;
}

function parseFailure(value: unknown): FailureCause | null {
  const { text, at, message, stops } = toFields(value);
  if (typeof text !== "string" || typeof at !== "string") return null;
  const time = new Date(at);
  return {
    text,
    at: Number.isNaN(time.getTime()) ? new Date(0) : time,
    message: parseRef(message),
    ...(stops === true ? { stops } : {}),
  };
}

function parseRef(value: unknown): MessageRef | null {
  const { stream, sequence, timestampNanos } = toFields(value);
  if (typeof stream !== "string" || typeof sequence !== "number") return null;
  if (typeof timestampNanos !== "string" || !/^\d{1,20}$/.test(timestampNanos)) return null;
  return { stream, sequence, timestampNanos: BigInt(timestampNanos) };
}

function isOperatorStatus(value: unknown): value is OperatorStatus {
  return value === "ACCEPTED" || value === "PAUSED";
}

export function parseStored(text: string | null): unknown {
  return text === null ? null : parseJson(text);
}

export function toFields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
