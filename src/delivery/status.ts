// Whether a subscription is to run: what its operator and its consumer want, and whether it failed. Shared by all relays.
//
//   command        sets
//   pause, resume  status PAUSED, ACCEPTED; resume also clears FAILURE
//   stop, start    consumerStatus STOPPED, STARTED; start also clears FAILURE
//   (failure)      consumerStatus FAILURE, with its cause, unless it is STOPPED
//   (recovery)     consumerStatus STARTED, from FAILURE

/** A message, by what names it for good. */
export interface MessageRef {
  readonly stream: string;
  readonly sequence: number;
  readonly timestampNanos: bigint;
}

export interface FailureCause {
  /** For people: which message, and what its callback answered. */
  readonly text: string;
  readonly at: Date;
  /** Null: no single message. */
  readonly message: MessageRef | null;
}

/** Of the operator; `CLOSED`, of a subscription whose time is over, is told from its dates. */
export type OperatorStatus = "ACCEPTED" | "PAUSED";

export interface SubscriptionStatus {
  readonly status: OperatorStatus;
  readonly consumerStatus: "STARTED" | "STOPPED" | "FAILURE";
  /** Null unless `consumerStatus` is FAILURE. */
  readonly failure: FailureCause | null;
  /** To be acknowledged without a request when it comes again; null: none. */
  readonly skip: MessageRef | null;
}

export type Command =
  | { readonly kind: "pause" }
  /** `skip`: the message that caused the failure is not sent again. */
  | { readonly kind: "resume"; readonly skip: boolean }
  | { readonly kind: "stop" }
  | { readonly kind: "start" };

export function initialStatus(status: OperatorStatus): SubscriptionStatus {
  return { status, consumerStatus: "STARTED", failure: null, skip: null };
}

/** The same object where nothing changes. */
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

export function fail(current: SubscriptionStatus, failure: FailureCause): SubscriptionStatus {
  if (current.consumerStatus === "STOPPED") return current;
  return { ...current, consumerStatus: "FAILURE", failure, skip: null };
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

/** What the bucket keeps. `declared` is what the definition said then: a new value there counts again. */
export interface StatusRecord {
  readonly status: SubscriptionStatus;
  /** Null: not known. */
  readonly declared: OperatorStatus | null;
}

export function formatStatusRecord({ status, declared }: StatusRecord): string {
  const toRef = (ref: MessageRef | null) =>
    ref === null ? null : { ...ref, timestampNanos: String(ref.timestampNanos) };
  const { failure } = status;
  return JSON.stringify({
    status: status.status,
    consumerStatus: status.consumerStatus,
    failure:
      failure === null
        ? null
        : { text: failure.text, at: failure.at.toISOString(), message: toRef(failure.message) },
    skip: toRef(status.skip),
    declared,
  });
}

/** Null: it is not such a record. */
export function parseStatusRecord(text: string): StatusRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const record = toFields(value);
  const status = record["status"];
  const consumerStatus = record["consumerStatus"];
  const declared = record["declared"];
  const isConsumerStatus =
    consumerStatus === "STARTED" || consumerStatus === "STOPPED" || consumerStatus === "FAILURE";
  if (!isOperatorStatus(status) || !isConsumerStatus) return null;
  const failure = consumerStatus === "FAILURE" ? parseFailure(record["failure"]) : null;
  return {
    status: { status, consumerStatus, failure, skip: parseRef(record["skip"]) },
    declared: isOperatorStatus(declared) ? declared : null,
  };
}

function parseFailure(value: unknown): FailureCause {
  const { text, at, message } = toFields(value);
  const time = new Date(typeof at === "string" ? at : Number.NaN);
  return {
    text: typeof text === "string" ? text : "Unknown",
    at: Number.isNaN(time.getTime()) ? new Date(0) : time,
    message: parseRef(message),
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

function toFields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
