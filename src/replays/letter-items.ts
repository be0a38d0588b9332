// The dead letters of a replay: selects those to send, claims each before it is sent, and settles it afterwards.

import { meetsFilter } from "#delivery/letter.ts";
import { type ReplayLetter, toReplayLetter } from "#delivery/replay-letter.ts";
import { isInScope, mayHaveArrived, type ReplayRecord, toLetterFilter } from "#delivery/replay.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { Logger } from "#lib/logger.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { type ReplayItem, type ReplayItems, skip, type NextItem } from "./items.ts";
import type { Removals } from "./removals.ts";
import { claimLetter, keepFailed, readLetter, removeLetter } from "./settle.ts";
import { type Found, letterKey, openReplaySource } from "./source.ts";

interface LetterItemsParts {
  readonly find: (id: string) => RunningSubscription | null;
  readonly endpoints: readonly DeadLetterEndpoint[];
  readonly openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters;
  readonly removals: Pick<Removals, "has" | "add">;
  /** False: another relay may hold the lease. */
  readonly isCurrent: () => boolean;
  /** Ends all waits. */
  readonly waiting: AbortSignal;
  /** Ends the letters in flight. */
  readonly ending: AbortSignal;
  readonly logger: Logger;
  /** Called for each id without a letter. */
  readonly onMissing: () => void;
  /** Ends the whole replay. */
  readonly fail: (reason: string) => void;
}

/** null: the replay was stopped before all streams had answered. */
export async function openLetterItems(
  record: ReplayRecord,
  parts: LetterItemsParts,
): Promise<ReplayItems | null> {
  const { request, maxReplays, scope } = record;
  const filter = toLetterFilter(request.filter);
  /** To a tenant, the letter of another one looks like an id that does not exist. */
  const hidden = scope !== null && request.ids !== null ? "gone" : null;
  const source = await openReplaySource(record, { ...parts, signal: parts.waiting });
  if (source === null) return null;

  async function judge(found: Found): Promise<NextItem> {
    const { pass, stored } = found;
    // Only operators may replay an entry that Relay did not write.
    const takesForeign = found.isNamed && scope === null;
    const letter = toReplayLetter(stored, found.place, { takesForeign });
    if (letter === null) return skip(scope === null ? "foreign" : hidden, pass);
    if (!meetsFilter(letter.letter, filter)) return skip(hidden, pass);
    // A killed server has forgotten a confirmed removal.
    if (parts.removals.has(stored)) {
      await removeLetter(found.letters, stored.sequence, parts.ending);
      return skip("gone", pass);
    }
    if (maxReplays !== null && letter.letter.replays >= maxReplays) return skip("exhausted", pass);
    const target = parts.find(request.to ?? letter.letter.subscription);
    if (target === null || target.state().kind === "closed" || !isInScope(target.subscription, scope))
      return skip("noSubscription", pass);
    if (!request.force && mayHaveArrived(letter, target.subscription)) return skip("needsForce", pass);
    return { kind: "send", item: toItem(found, letter, target.subscription.id) };
  }

  function toItem(found: Found, letter: ReplayLetter, target: string): ReplayItem {
    let current = letter;

    async function removeDelivered(): Promise<boolean> {
      const { stored } = current;
      parts.removals.add(found.stored, found.letters);
      const isMarked = stored.sequence !== found.stored.sequence;
      const marked = isMarked ? await readLetter(found.letters, stored.sequence, parts.ending) : null;
      if (marked !== null) parts.removals.add(marked, found.letters);
      const isRemoved = await removeLetter(found.letters, stored.sequence, parts.ending);
      if (!isRemoved) parts.logger.warn("Delivered dead letter not removed", { subject: stored.subject });
      return isRemoved;
    }

    return {
      key: letterKey(found),
      target,
      message: letter.message,
      letter: { id: letter.letter.id, endpoint: found.place.name },
      pass: found.pass,
      async claim(qos) {
        const isMarking = qos === "AT_MOST_ONCE";
        const claimed = await claimLetter(found.letters, current, { ...parts, isMarking });
        if (typeof claimed === "string") return claimed;
        if (claimed.kind === "unmarkable")
          parts.fail(`Cannot mark ${current.stored.subject} before it is sent: ${claimed.reason}`);
        else current = claimed.letter;
        return claimed.kind === "claimed" ? "claimed" : "unavailable";
      },
      delivered: removeDelivered,
      failed: (how) => keepFailed(found.letters, { letter: current, ...how }, parts.ending),
    };
  }

  return {
    places: source.places,
    cursors: source.cursors,
    async next(signal) {
      const found = await source.next(signal);
      return found === null ? null : judge(found);
    },
  };
}
