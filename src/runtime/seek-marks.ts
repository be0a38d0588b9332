// The seek mark in the bucket: a lock for the cluster, so that one relay at a time moves the consumer.
//
//   (none) --claim (compare and set)--> moving --> moved       the consumer is at its new position
//                                          '-----> abandoned   by its relay, or by another one that waited for too long

import { toFields, parseStored } from "#delivery/status.ts";
import { RelayError } from "#lib/errors.ts";
import type { Bucket } from "#bucket/bucket.ts";

export interface SeekMark {
  readonly id: string;
  readonly phase: "moving" | "moved" | "abandoned";
  /** The process that seeks. */
  readonly by: string;
  /** Counts up while that process seeks: its heartbeat. */
  readonly beat: number;
}

/** `revision` 0: no mark is stored. */
interface StoredMark {
  readonly mark: SeekMark | null;
  readonly revision: number;
}

export interface SeekMarks {
  /** The newest mark that this relay has received or read. */
  readonly current: SeekMark | null;
  /** Reads the stored mark and makes it `current`. Rejects with a RelayError. */
  read: () => Promise<StoredMark>;
  /** False: another relay was quicker. Rejects with a RelayError. */
  claim: (
    mark: SeekMark,
    options: { readonly expectedRevision: number; readonly signal: AbortSignal },
  ) => Promise<boolean>;
  /** Heartbeat of this relay's own seek. Does nothing if another mark replaced it. */
  renew: (mark: SeekMark) => void;
  /** Records how this relay's own seek ended: visible here at once, stored as soon as possible. */
  end: (mark: SeekMark) => void;
}

export function createSeekMarks(
  bucket: Pick<Bucket, "get" | "put" | "read" | "write">,
  { key, onMoved }: { readonly key: string; readonly onMoved: () => void },
): SeekMarks {
  let stored: StoredMark = { mark: null, revision: 0 };

  const marks: SeekMarks = {
    get current() {
      const seen = bucket.get(key);
      // A local put is newer than anything read; it has the revision of the value that it replaces.
      const isSeenNewer = (seen?.revision ?? 0) >= stored.revision;
      return isSeenNewer ? parseMark(seen?.value ?? null) : stored.mark;
    },
    async read() {
      const answer = await bucket.read(key);
      switch (answer.kind) {
        case "unavailable":
          throw new RelayError("unavailable", `Cannot read the cluster's state: ${answer.reason}`);
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
      throw new RelayError("unavailable", `Cannot change the cluster's state: ${result.reason}`);
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

/** Null: no mark, or an unreadable one. */
function parseMark(text: string | null): SeekMark | null {
  const { id, phase, by, beat } = toFields(parseStored(text));
  if (typeof id !== "string" || typeof by !== "string" || typeof beat !== "number") return null;
  return phase === "moving" || phase === "moved" || phase === "abandoned" ? { id, phase, by, beat } : null;
}
