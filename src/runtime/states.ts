// The states of all subscriptions, shared with the other relays of the cluster: what is changed here is kept and told, what is
// changed elsewhere is followed.

import {
  applyCommand,
  type Command,
  fail,
  type FailureCause,
  formatStatusRecord,
  initialStatus,
  type OperatorStatus,
  parseStatusRecord,
  recover,
  type SubscriptionStatus,
} from "#delivery/status.ts";

/** Where the cluster keeps them; what is put is there at once, and reaches the others as soon as it can. */
export interface StatusBucket {
  /** False: `signal` aborted before the content was known. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  get: (key: string) => { readonly value: string } | null;
  put: (key: string, value: string) => void;
  remove: (key: string) => void;
  onChange: (listener: (key: string) => void) => () => void;
}

/** Why a state changed. */
export type ChangeReason = Command["kind"] | "failure" | "recovery" | "restart" | "configuration";

export interface StateChange {
  readonly subscription: string;
  readonly from: SubscriptionStatus;
  readonly to: SubscriptionStatus;
  readonly reason: ChangeReason;
}

/** One subscription's share. */
export interface StatusCell {
  /** False: `signal` aborted before it was known. A FAILURE from before this relay started is cleared by then. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  readonly current: SubscriptionStatus;
  command: (command: Command) => SubscriptionStatus;
  fail: (cause: FailureCause) => void;
  recover: (reason: "recovery" | "configuration") => void;
  /** What its definition says; a new value counts over what was commanded before. */
  declare: (status: OperatorStatus) => void;
  /** Told after each change, made here or elsewhere. Returns how to end that. */
  onChange: (listener: () => void) => () => void;
  /** The subscription is no more. */
  forget: () => void;
}

export interface States {
  /** `declared`: what its definition says. */
  of: (subscription: string, declared: OperatorStatus) => StatusCell;
  /** Nothing is followed any more. */
  close: () => void;
}

const KEY_PREFIX = "state.";

/** `onChanged` is told of the changes that are made here: each is told by one relay of the cluster. */
export function createStates(
  bucket: StatusBucket,
  { onChanged }: { readonly onChanged: (change: StateChange) => void },
): States {
  const listeners = new Map<string, Set<() => void>>();
  const stopFollowing = bucket.onChange((key) => {
    if (key.startsWith(KEY_PREFIX)) notify(key.slice(KEY_PREFIX.length));
  });

  function notify(id: string): void {
    for (const listener of listeners.get(id) ?? []) listener();
  }

  function of(id: string, initiallyDeclared: OperatorStatus): StatusCell {
    const key = KEY_PREFIX + id;
    let declared = initiallyDeclared;
    let isCleared = false;

    function read(): SubscriptionStatus {
      const entry = bucket.get(key);
      const record = entry === null ? null : parseStatusRecord(entry.value);
      if (record === null) return initialStatus(declared);
      // The definition counts again where it says something new.
      return record.declared === declared ? record.status : { ...record.status, status: declared };
    }

    function change(
      next: (from: SubscriptionStatus) => SubscriptionStatus,
      reason: ChangeReason,
    ): SubscriptionStatus {
      const from = read();
      const to = next(from);
      if (to === from) return from;
      bucket.put(key, formatStatusRecord({ status: to, declared }));
      onChanged({ subscription: id, from, to, reason });
      return to;
    }

    function clearOnce(): void {
      if (isCleared) return;
      isCleared = true;
      change(recover, "restart");
    }

    return {
      async ready(signal) {
        if (!(await bucket.ready(signal))) return false;
        clearOnce();
        return true;
      },
      get current() {
        return read();
      },
      command: (command) => change((from) => applyCommand(from, command), command.kind),
      fail: (cause) => void change((from) => fail(from, cause), "failure"),
      recover: (reason) => void change(recover, reason),
      declare(status) {
        declared = status;
        notify(id);
      },
      onChange(listener) {
        const known = listeners.get(id) ?? new Set();
        known.add(listener);
        listeners.set(id, known);
        return () => void known.delete(listener);
      },
      forget: () => bucket.remove(key),
    };
  }

  return { of, close: stopFollowing };
}
