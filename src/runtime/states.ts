// The states of all subscriptions, shared with the other relays of the cluster: what is changed here is kept and told, what is
// changed elsewhere is followed.

import {
  applyCommand,
  type Command,
  fail,
  type FailureCause,
  formatStatus,
  initialStatus,
  isSameMessage,
  type KeptStatus,
  type MessageRef,
  type OperatorStatus,
  parseDeclared,
  parseSkip,
  parseStatus,
  recover,
  STATUS_PARTS,
  type SubscriptionStatus,
} from "#delivery/status.ts";

/** Where the cluster keeps them; what is put is there at once, and reaches the others as soon as it can. */
export interface StatusBucket {
  /**
   * False: `signal` aborted before. It may give up waiting for the content; `onKnown` is called when that is known, at the
   * latest before it resolves or else later.
   */
  ready: (signal: AbortSignal, onKnown: () => void) => Promise<boolean>;
  get: (key: string) => { readonly value: string; readonly revision: number } | null;
  put: (key: string, value: string) => void;
  remove: (key: string) => void;
  /** `conflict`: somebody else was quicker. */
  write: (
    key: string,
    value: string,
    condition: { readonly expectedRevision: number; readonly signal: AbortSignal },
  ) => Promise<{ readonly kind: string }>;
  onChange: (listener: (key: string) => void) => () => void;
}

/** Why a state changed; `end`: its time is over. */
export type ChangeReason =
  | Command["kind"]
  | "failure"
  | "recovery"
  | "restart"
  | "configuration"
  | "end"
  | "deletion";

export interface StateChange {
  readonly subscription: string;
  readonly from: SubscriptionStatus;
  readonly to: SubscriptionStatus;
  readonly reason: ChangeReason;
}

/** One subscription's share. */
export interface StatusCell {
  /** False: `signal` aborted before it was known. A FAILURE from before this relay started is cleared. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  readonly current: SubscriptionStatus;
  /** Somebody resumed the subscription without it. */
  isSkipped: (message: MessageRef) => boolean;
  command: (command: Command) => SubscriptionStatus;
  fail: (cause: FailureCause) => void;
  recover: (reason: "recovery" | "configuration") => void;
  /** What its definition says; a new value counts over what was commanded before. */
  declare: (status: OperatorStatus) => void;
  /** Names the last seek, by whichever relay; null: there was none. */
  readonly place: string | null;
  /** A seek is done here: the others are told, and what was to be skipped is not any more. */
  moved: (place: string) => void;
  /** Its time was over at `endingAt`: told by one relay, once. */
  end: (endingAt: Date) => Promise<void>;
  /** Told after each change, made here or elsewhere. Returns how to end that. */
  onChange: (listener: () => void) => () => void;
  /** The subscription was deleted. */
  forget: () => void;
}

export interface States {
  /** `declared`: what its definition says. */
  of: (subscription: string, declared: OperatorStatus) => StatusCell;
  /** Nothing is followed any more. */
  close: () => void;
}

const KEY_PREFIX = "state.";
const END_MS = 30_000;

/** `onChanged` is told of the changes that are made here: each is told by one relay of the cluster. */
export function createStates(
  bucket: StatusBucket,
  { onChanged }: { readonly onChanged: (change: StateChange) => void },
): States {
  const listeners = new Map<string, Set<() => void>>();
  const closing = new AbortController();
  const stopFollowing = bucket.onChange((key) => {
    const [prefix, id] = key.split(".");
    if (`${prefix}.` === KEY_PREFIX && id !== undefined) notify(id);
  });

  function notify(id: string): void {
    for (const listener of listeners.get(id) ?? []) listener();
  }

  function of(id: string, initiallyDeclared: OperatorStatus): StatusCell {
    const keyOf = (part: string) => `${KEY_PREFIX}${id}.${part}`;
    const valueOf = (part: string) => bucket.get(keyOf(part))?.value ?? null;
    let declared = initiallyDeclared;
    let isSettled = false;
    let hasFailed = false;
    const skipKey = keyOf("skip");
    let skipText: string | null = null;
    let skip: MessageRef | null = null;

    function keep(): KeptStatus {
      return {
        operator: valueOf("operator"),
        consumer: valueOf("consumer"),
        failure: valueOf("failure"),
        skip: valueOf("skip"),
      };
    }

    function read(): SubscriptionStatus {
      return parseStatus(keep(), declared);
    }

    function write(to: SubscriptionStatus): void {
      const kept = keep();
      const unkept = formatStatus(initialStatus(declared), declared);
      // Another relay may have read a newer file: what that says is not undone by a command given here.
      const texts = formatStatus(to, parseDeclared(kept) ?? declared);
      for (const part of STATUS_PARTS) {
        if (texts[part] !== (kept[part] ?? unkept[part])) bucket.put(keyOf(part), texts[part]);
      }
    }

    function change(
      next: (from: SubscriptionStatus) => SubscriptionStatus,
      reason: ChangeReason,
    ): SubscriptionStatus {
      const from = read();
      const to = next(from);
      if (to === from) return from;
      write(to);
      onChanged({ subscription: id, from, to, reason });
      return to;
    }

    /** Where the definition says something new, it counts over what was commanded under the one before. */
    function declare(status: OperatorStatus): void {
      const from = read();
      const isNew = status !== declared || (parseDeclared(keep()) ?? status) !== status;
      declared = status;
      if (!isNew || parseDeclared(keep()) === status) return;
      const to = { ...from, status };
      bucket.put(keyOf("operator"), formatStatus(to, declared).operator);
      if (from.status !== status) onChanged({ subscription: id, from, to, reason: "configuration" });
    }

    /** What there was when this relay started. */
    function settle(): void {
      if (isSettled) return;
      isSettled = true;
      if (!hasFailed) change(recover, "restart");
      declare(declared);
    }

    async function end(endingAt: Date): Promise<void> {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(END_MS)]);
      await bucket.ready(signal, () => undefined);
      const key = keyOf("ended");
      const text = endingAt.toISOString();
      const kept = bucket.get(key);
      if (kept?.value === text) return;
      const { kind } = await bucket.write(key, text, { expectedRevision: kept?.revision ?? 0, signal });
      const status = read();
      if (kind !== "conflict") onChanged({ subscription: id, from: status, to: status, reason: "end" });
    }

    return {
      ready: (signal) => bucket.ready(signal, settle),
      get current() {
        return read();
      },
      isSkipped(message) {
        const text = bucket.get(skipKey)?.value ?? null;
        if (text !== skipText) [skipText, skip] = [text, parseSkip(text)];
        return skip !== null && isSameMessage(skip, message);
      },
      command: (command) => change((from) => applyCommand(from, command), command.kind),
      fail(cause) {
        hasFailed = true;
        change((from) => fail(from, cause), "failure");
      },
      recover: (reason) => void change(recover, reason),
      declare,
      get place() {
        return valueOf("place");
      },
      moved(place) {
        write({ ...read(), skip: null });
        bucket.put(keyOf("place"), place);
      },
      end,
      onChange(listener) {
        const known = listeners.get(id) ?? new Set();
        known.add(listener);
        listeners.set(id, known);
        return () => void known.delete(listener);
      },
      forget() {
        const status = read();
        for (const part of [...STATUS_PARTS, "place", "ended"]) bucket.remove(keyOf(part));
        onChanged({ subscription: id, from: status, to: status, reason: "deletion" });
      },
    };
  }

  return {
    of,
    close() {
      stopFollowing();
      closing.abort();
    },
  };
}
