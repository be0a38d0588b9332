// The status of a subscription, shared by all relays: its operator's and its consumer's wish, and its failure.
//
//   command        sets
//   pause, resume  status PAUSED, ACCEPTED; resume also clears FAILURE
//   stop, start    consumerStatus STOPPED, STARTED; start also clears FAILURE
//   (failure)      consumerStatus FAILURE, with its cause, unless it is STOPPED or the cause is to be skipped
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

/** What a command sets, whatever there was before. */
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

/** The same object where it changes nothing: what was told to be skipped meanwhile does not count any more. */
export function fail(current: SubscriptionStatus, failure: FailureCause): SubscriptionStatus {
  const { consumerStatus, skip } = current;
  const isSkipped = skip !== null && failure.message !== null && isSameMessage(skip, failure.message);
  if (consumerStatus === "STOPPED" || isSkipped) return current;
  return { ...current, consumerStatus: "FAILURE", failure };
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

/** In the order to write them: what is to be skipped is known before the failure ends. */
export const STATUS_PARTS: readonly StatusPart[] = ["skip", "operator", "consumer", "failure"];

/**
 * As it is kept: each part by itself, so that what one relay changes does not undo what another one changed at the same
 * time. `declared` is what the definition says: a new value there counts again.
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

/** Null: it is not kept. What cannot be read counts as not kept. */
export type KeptStatus = Readonly<Record<StatusPart, string | null>>;

export function parseStatus(kept: KeptStatus, declared: OperatorStatus): SubscriptionStatus {
  const initial = initialStatus(parseOperator(kept)?.status ?? declared);
  const skip = parseSkip(kept.skip);
  if (toFields(parseStored(kept.consumer))["status"] === "STOPPED") {
    return { ...initial, consumerStatus: "STOPPED", skip };
  }
  const failure = parseFailure(parseStored(kept.failure));
  return failure === null ? { ...initial, skip } : { ...initial, consumerStatus: "FAILURE", failure, skip };
}

/** The kept part that is asked for by itself, for each message. */
export function parseSkip(kept: string | null): MessageRef | null {
  return parseRef(parseStored(kept));
}

/** What the definition said when the operator's part was written; null: nobody knows. */
export function parseDeclared(kept: KeptStatus): OperatorStatus | null {
  return parseOperator(kept)?.declared ?? null;
}

function parseOperator(kept: KeptStatus): { status: OperatorStatus; declared: OperatorStatus } | null {
  const { status, declared } = toFields(parseStored(kept.operator));
  return isOperatorStatus(status) && isOperatorStatus(declared) ? { status, declared } : null;
}

function parseFailure(value: unknown): FailureCause | null {
  const { text, at, message } = toFields(value);
  if (typeof text !== "string" || typeof at !== "string") return null;
  const time = new Date(at);
  return {
    text,
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

export function parseStored(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "null") as unknown;
  } catch {
    return null;
  }
}

export function toFields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
