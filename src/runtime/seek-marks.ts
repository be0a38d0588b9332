// The mark of a seek in the bucket, which the relays of the cluster agree by: one of them moves the consumer at a time.
//
//   (none) --claimed, compared and set--> moving --> moved       the consumer is at its new place
//                                            '-----> abandoned   by its relay, or by another one that waited for too long

import { toFields, parseStored } from "#delivery/status.ts";
import { RelayError } from "#lib/errors.ts";
import type { Bucket } from "#bucket/bucket.ts";

export interface MoveMark {
  readonly id: string;
  readonly phase: "moving" | "moved" | "abandoned";
  /** The process that moves it. */
  readonly by: string;
  /** Counts up while it moves it: a sign of life. */
  readonly beat: number;
}

/** `revision` 0: there is no mark. */
interface StoredMark {
  readonly mark: MoveMark | null;
  readonly revision: number;
}

export interface MoveMarks {
  /** As this relay has heard of it, or read it. */
  readonly current: MoveMark | null;
  /** As it is stored now: what other relays have done counts here from then on. Rejects with a RelayError. */
  read: () => Promise<StoredMark>;
  /** False: somebody was quicker. Rejects with a RelayError. */
  claim: (
    mark: MoveMark,
    options: { readonly expectedRevision: number; readonly signal: AbortSignal },
  ) => Promise<boolean>;
  /** A sign of life of this relay's own move; nothing if another mark has taken the place of it. */
  renew: (mark: MoveMark) => void;
  /** How this relay's own move has ended: known here at once, stored as soon as it can be. */
  end: (mark: MoveMark) => void;
}

export function createMoveMarks(
  bucket: Pick<Bucket, "get" | "put" | "read" | "write">,
  { key, onMoved }: { readonly key: string; readonly onMoved: () => void },
): MoveMarks {
  let stored: StoredMark = { mark: null, revision: 0 };

  const marks: MoveMarks = {
    get current() {
      const seen = bucket.get(key);
      // What was put here is newer than all that was read; it has the revision of what it replaces.
      const isSeenNewer = (seen?.revision ?? 0) >= stored.revision;
      return isSeenNewer ? parseMark(seen?.value ?? null) : stored.mark;
    },
    async read() {
      const answer = await bucket.read(key);
      switch (answer.kind) {
        case "unavailable":
          throw new RelayError("unavailable", `The states of the cluster cannot be read: ${answer.reason}`);
        case "missing":
          stored = { mark: null, revision: 0 };
          break;
        case "found": {
          const { value, revision } = answer.message;
          stored = { mark: parseMark(value), revision };
        }
      }
      return stored;
    },
    async claim(mark, condition) {
      const result = await bucket.write(key, JSON.stringify(mark), condition);
      if (result.kind === "conflict") return false;
      if (result.kind === "written") return true;
      throw new RelayError("unavailable", `The states of the cluster cannot be changed: ${result.reason}`);
    },
    renew(mark) {
      const { current } = marks;
      if (current?.id === mark.id && current.phase === "moving") bucket.put(key, JSON.stringify(mark));
    },
    end(mark) {
      if (mark.phase === "moved") onMoved();
      bucket.put(key, JSON.stringify(mark));
    },
  };
  return marks;
}

/** What cannot be read counts as none. */
function parseMark(text: string | null): MoveMark | null {
  const { id, phase, by, beat } = toFields(parseStored(text));
  if (typeof id !== "string" || typeof by !== "string" || typeof beat !== "number") return null;
  return phase === "moving" || phase === "moved" || phase === "abandoned" ? { id, phase, by, beat } : null;
}
