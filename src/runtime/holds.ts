// Pauses that outlive a subscription: paused applications, and ids of subscriptions that were deleted while paused.
//
// Stored in the bucket: a subscription that is deleted while paused and created again is paused again.

import { createHash } from "node:crypto";
import { parseStored, toFields } from "#delivery/status.ts";
import { RelayError } from "#lib/errors.ts";
import type { Bucket } from "#bucket/bucket.ts";

type HoldsBucket = Pick<Bucket, "list" | "put" | "remove" | "get" | "update" | "waiting" | "onChange">;

interface HeldApplication {
  readonly application: string;
  readonly since: Date;
}

export interface Holds {
  /** The bucket key that a resume of this subscription removes. */
  keyOf: (id: string) => string;
  isIdHeld: (id: string) => boolean;
  isApplicationHeld: (application: string | null) => boolean;
  applications: () => readonly HeldApplication[];
  /** A paused subscription was deleted. Keeps the newest 1,000. */
  remember: (id: string) => void;
  /** The subscription is no longer held. */
  release: (id: string) => void;
  /** Resolves when the command is stored or queued (see `notStored`). Rejects with a RelayError if it has no effect. */
  pause: (application: string) => Promise<void>;
  resume: (application: string) => Promise<void>;
  /** Why a command for this application is not stored yet; null: none waits. */
  notStored: (application: string) => string | null;
  /** Calls `listener` on each change by any relay; `isAbout` tells which subscriptions it affects. Returns the unsubscribe. */
  onChange: (listener: (isAbout: (id: string, application: string | null) => boolean) => void) => () => void;
}

const ID_PREFIX = "hold.id.";
const APPLICATION_PREFIX = "hold.application.";
const MAX_IDS = 1000;
const MAX_APPLICATIONS = 1000;

export function createHolds(bucket: HoldsBucket): Holds {
  const keyOf = (id: string) => ID_PREFIX + id;

  function applications(): readonly HeldApplication[] {
    return bucket.list(APPLICATION_PREFIX).flatMap(({ value }) => parseHeld(value));
  }

  async function command(application: string, kind: "pause" | "resume"): Promise<void> {
    const key = keyOfApplication(application);
    const refuse = (reason: string) =>
      new RelayError("bucket-refused", `Cannot ${kind} the application ${application}: ${reason}`);
    const isNew = kind === "pause" && bucket.get(key) === null;
    if (isNew && bucket.list(APPLICATION_PREFIX).length >= MAX_APPLICATIONS)
      throw refuse(`${MAX_APPLICATIONS} applications are paused, allowed: no more`);
    const wanted = kind === "pause" ? JSON.stringify({ application, since: new Date().toISOString() }) : null;
    const result = await bucket.update([key], (values) => {
      const isHeld = (values.get(key) ?? null) !== null;
      return isHeld === (kind === "pause") ? new Map() : new Map([[key, wanted]]);
    });
    if (result.kind === "refused") throw refuse(result.reason);
  }

  return {
    keyOf,
    isIdHeld: (id) => bucket.get(keyOf(id)) !== null,
    isApplicationHeld: (application) =>
      application !== null && bucket.get(keyOfApplication(application)) !== null,
    applications,
    remember(id) {
      if (bucket.get(keyOf(id)) === null) bucket.put(keyOf(id), JSON.stringify({ since: Date.now() }));
      const held = bucket.list(ID_PREFIX).map(({ key, value }) => ({ key, since: sinceOf(value) }));
      const excess = held.length - MAX_IDS;
      if (excess <= 0) return;
      const oldest = held.toSorted((left, right) => left.since - right.since).slice(0, excess);
      for (const { key } of oldest) bucket.remove(key);
    },
    release(id) {
      if (bucket.get(keyOf(id)) !== null) bucket.remove(keyOf(id));
    },
    pause: (application) => command(application, "pause"),
    resume: (application) => command(application, "resume"),
    notStored: (application) => bucket.waiting([keyOfApplication(application)]),
    onChange: (listener) =>
      bucket.onChange((key) => {
        if (key.startsWith(ID_PREFIX)) listener((id) => keyOf(id) === key);
        if (key.startsWith(APPLICATION_PREFIX))
          listener((_, application) => application !== null && keyOfApplication(application) === key);
      }),
  };
}

/** Hashed: an application's name may contain characters that a key may not. */
function keyOfApplication(application: string): string {
  return APPLICATION_PREFIX + createHash("sha256").update(application).digest("base64url");
}

/** Skips an entry that cannot be read: its application is unknown. */
function parseHeld(value: string): readonly HeldApplication[] {
  const { application, since } = toFields(parseStored(value));
  if (typeof application !== "string") return [];
  const time = new Date(typeof since === "string" ? since : 0);
  return [{ application, since: Number.isNaN(time.getTime()) ? new Date(0) : time }];
}

function sinceOf(value: string): number {
  const { since } = toFields(parseStored(value));
  return typeof since === "number" ? since : 0;
}
