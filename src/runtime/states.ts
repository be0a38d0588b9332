// Subscription states in the bucket, shared by the relays of the cluster: stores local changes, and follows those of others.

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
  statusPartsOf,
  recover,
  STATUS_PARTS,
  type StatusPart,
  type SubscriptionStatus,
} from "#delivery/status.ts";
import { RelayError } from "#lib/errors.ts";
import type { Bucket } from "#bucket/bucket.ts";
import type { Holds } from "./holds.ts";
import { createSeekMarks, type SeekMarks } from "./seek-marks.ts";

/** The part of the bucket that states use. A put is visible here at once, and reaches the others as soon as possible. */
interface StatusBucket {
  /**
   * False: `signal` aborted first. It may stop waiting for the content; `onKnown` is called once the content is known, before
   * it resolves or later.
   */
  ready: (signal: AbortSignal, onKnown: () => void) => Promise<boolean>;
  get: Bucket["get"];
  put: (key: string, value: string) => void;
  remove: (key: string) => void;
  write: Bucket["write"];
  read: Bucket["read"];
  /** Runs a command: decides on the stored values. */
  update: Bucket["update"];
  /** Why a command for one of these keys is not stored yet; null: none waits. */
  waiting: Bucket["waiting"];
  onChange: (listener: (key: string) => void) => () => void;
}

/** Why a state changed. `end`: its `endingAt` has passed. */
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

/** The state of one subscription. */
export interface StatusCell {
  /** Waits for the stored state. False: `signal` aborted first. Clears a FAILURE from before this relay started. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  /** PAUSED also if its application is paused, or a paused subscription of this id was deleted. */
  readonly current: SubscriptionStatus;
  readonly isApplicationPaused: boolean;
  /** An operator resumed the subscription with `--skip` of this message. */
  isSkipped: (message: MessageRef) => boolean;
  /** Resolves when the command is stored or queued (see `notStored`). Rejects with a RelayError if it has no effect. */
  command: (command: Command) => Promise<void>;
  /** Why a command given to this relay is not stored yet; null: all are stored. */
  readonly notStored: string | null;
  fail: (cause: FailureCause) => void;
  recover: (reason: "recovery" | "configuration") => void;
  /** Sets the status that its definition asks for. A new value overrides earlier commands. */
  declare: (status: OperatorStatus) => void;
  /** Marks of seeks, by any relay. */
  readonly seekMarks: SeekMarks;
  /** Reports that `endingAt` has passed: once, by one relay. */
  end: (endingAt: Date) => Promise<void>;
  /** Calls `listener` after each change by any relay. Returns the unsubscribe. */
  onChange: (listener: () => void) => () => void;
  /** Removes the state of a deleted subscription. */
  forget: () => void;
}

export interface States {
  /** `declared`: the status in its definition; `application`: the one it belongs to now. */
  of: (
    subscription: string,
    declared: OperatorStatus,
    owner?: { readonly application: () => string | null },
  ) => StatusCell;
  /** Stops following the bucket. */
  close: () => void;
}

function describeWait(reason: string, diskFault: string | null): string {
  return diskFault === null ? reason : `${reason}; a restart of this relay forgets it: ${diskFault}`;
}

interface Listening {
  readonly application: () => string | null;
  readonly listener: () => void;
}

/** Parts that the parked keys of a subscription use. */
export const PARKED_PARTS = ["parked", "unpark"] as const;

const KEY_PREFIX = "state.";
const END_MS = 30_000;

/** `onChanged` gets the changes made by this relay, so each change is reported by one relay of the cluster. */
export function createStates(
  bucket: StatusBucket,
  { holds, onChanged }: { readonly holds: Holds; readonly onChanged: (change: StateChange) => void },
): States {
  const listeners = new Map<string, Set<Listening>>();
  const closing = new AbortController();
  const stopFollowing = bucket.onChange((key) => {
    const [prefix, id] = key.split(".");
    if (`${prefix}.` === KEY_PREFIX && id !== undefined) notify(id);
  });

  const stopFollowingHolds = holds.onChange((isAbout) => {
    for (const [id, all] of listeners)
      for (const { application, listener } of all) if (isAbout(id, application())) listener();
  });

  function notify(id: string): void {
    for (const { listener } of listeners.get(id) ?? []) listener();
  }

  function of(
    id: string,
    initiallyDeclared: OperatorStatus,
    { application = () => null }: { readonly application?: () => string | null } = {},
  ): StatusCell {
    const keyOf = (part: string) => `${KEY_PREFIX}${id}.${part}`;
    const valueOf = (part: string) => bucket.get(keyOf(part))?.value ?? null;
    let declared = initiallyDeclared;
    let isSettled = false;
    let hasFailed = false;
    /** Why a restart would lose the queued command. */
    let diskFault: string | null = null;
    const skipKey = keyOf("skip");
    let skipText: string | null = null;
    let skip: MessageRef | null = null;

    function keep(read: (part: StatusPart) => string | null = valueOf): KeptStatus {
      return {
        operator: read("operator"),
        consumer: read("consumer"),
        failure: read("failure"),
        skip: read("skip"),
      };
    }

    function read(): SubscriptionStatus {
      return parseStatus(keep(), declared);
    }

    function isApplicationPaused(): boolean {
      return holds.isApplicationHeld(application());
    }

    /** The effective status: its application or its id may be paused on top of its own status. */
    function show(own: SubscriptionStatus): SubscriptionStatus {
      const isHeld = own.status !== "PAUSED" && (holds.isIdHeld(id) || isApplicationPaused());
      return isHeld ? { ...own, status: "PAUSED" } : own;
    }

    function tell(from: SubscriptionStatus, to: SubscriptionStatus, reason: ChangeReason): void {
      onChanged({ subscription: id, from: show(from), to: show(to), reason });
    }

    /** The values to write, by key: those that change, and the parts in `anyway`. */
    function listChanges(
      kept: KeptStatus,
      to: SubscriptionStatus,
      anyway: readonly StatusPart[] = [],
    ): ReadonlyMap<string, string> {
      const unkept = formatStatus(initialStatus(declared), declared);
      // Another relay may have read a newer config file: a command given here must not undo it.
      const texts = formatStatus(to, parseDeclared(kept) ?? declared);
      const parts = STATUS_PARTS.filter(
        (part) => anyway.includes(part) || texts[part] !== (kept[part] ?? unkept[part]),
      );
      return new Map(parts.map((part) => [keyOf(part), texts[part]]));
    }

    function write(to: SubscriptionStatus): void {
      for (const [key, text] of listChanges(keep(), to)) bucket.put(key, text);
    }

    async function command(command: Command): Promise<void> {
      if (command.kind === "resume" && isApplicationPaused())
        throw new RelayError("bucket-refused", `Cannot resume ${id}: its application is paused, resume that`);
      let from: SubscriptionStatus | null = null;
      let to = read();
      let hasEffect = false;
      const holdKey = holds.keyOf(id);
      const result = await bucket.update([...STATUS_PARTS.map(keyOf), holdKey], (values, { isStored }) => {
        const kept = keep((part) => values.get(keyOf(part)) ?? null);
        const current = parseStatus(kept, declared);
        from ??= show(current);
        to = applyCommand(current, command);
        const isHeld = (values.get(holdKey) ?? null) !== null;
        hasEffect ||= to !== current || (isHeld && command.kind === "resume");
        const changes = new Map<string, string | null>(
          to === current && isStored ? [] : listChanges(kept, to, isStored ? [] : statusPartsOf(command)),
        );
        return isHeld && command.kind === "resume" ? changes.set(holdKey, null) : changes;
      });
      if (result.kind === "refused")
        throw new RelayError("bucket-refused", `Cannot ${command.kind} ${id}: ${result.reason}`);
      if (result.kind === "waiting") diskFault = result.diskFault;
      if (result.isChanged && hasEffect) tell(from ?? to, to, command.kind);
    }

    function change(
      next: (from: SubscriptionStatus) => SubscriptionStatus,
      reason: ChangeReason,
    ): SubscriptionStatus {
      const from = read();
      const to = next(from);
      if (to === from) return from;
      write(to);
      tell(from, to, reason);
      return to;
    }

    /** A new status in the definition overrides commands given under the former one. */
    function declare(status: OperatorStatus): void {
      const from = read();
      const isNew = status !== declared || (parseDeclared(keep()) ?? status) !== status;
      declared = status;
      if (!isNew || parseDeclared(keep()) === status) return;
      const to = { ...from, status };
      bucket.put(keyOf("operator"), formatStatus(to, declared).operator);
      if (from.status !== status) tell(from, to, "configuration");
    }

    /** Handles the state from before this relay started, once. */
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
      if (kind !== "conflict") tell(status, status, "end");
    }

    return {
      ready: (signal) => bucket.ready(signal, settle),
      get current() {
        return show(read());
      },
      get isApplicationPaused() {
        return isApplicationPaused();
      },
      isSkipped(message) {
        const text = bucket.get(skipKey)?.value ?? null;
        if (text !== skipText) [skipText, skip] = [text, parseSkip(text)];
        return skip !== null && isSameMessage(skip, message);
      },
      command,
      get notStored() {
        const reason = bucket.waiting([...STATUS_PARTS.map(keyOf), holds.keyOf(id)]);
        return reason === null ? null : describeWait(reason, diskFault);
      },
      fail(cause) {
        hasFailed = true;
        change((from) => fail(from, cause), cause.stops === true ? "stop" : "failure");
      },
      recover: (reason) => void change(recover, reason),
      declare,
      seekMarks: createSeekMarks(bucket, {
        key: keyOf("place"),
        onMoved: () => write({ ...read(), skip: null }),
      }),
      end,
      onChange(listener) {
        const known = listeners.get(id) ?? new Set();
        const own = { application, listener };
        known.add(own);
        listeners.set(id, known);
        return () => {
          known.delete(own);
          if (known.size === 0 && listeners.get(id) === known) listeners.delete(id);
        };
      },
      forget() {
        const status = read();
        // Deleting a paused subscription must not end its pause.
        if (status.status === "PAUSED") holds.remember(id);
        for (const part of [...STATUS_PARTS, ...PARKED_PARTS, "place", "ended"]) bucket.remove(keyOf(part));
        tell(status, status, "deletion");
      },
    };
  }

  return {
    of,
    close() {
      stopFollowing();
      stopFollowingHolds();
      closing.abort();
    },
  };
}
