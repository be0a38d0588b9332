// One entry by its id, wherever it lies.

import { type LetterEntry, toEntry } from "#delivery/letter.ts";
import { parseLetterId } from "#delivery/letter-id.ts";
import type { Header } from "#delivery/message.ts";
import type { Connection } from "#nats/connection.ts";
import { type LetterMessage, readLetterMessage } from "./message.ts";
import { isOfPlace, type LetterPlace } from "./locations.ts";
import type { LetterSeal } from "./seal.ts";

export interface FoundLetter {
  readonly entry: LetterEntry;
  readonly place: LetterPlace;
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
}

export type FindResult =
  | { readonly kind: "found"; readonly letter: FoundLetter }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

/** The first in the order of the places. Missing is said only where every place could be asked. */
export async function findLetter(
  connection: Connection,
  { places, seal }: { places: readonly LetterPlace[]; seal: LetterSeal },
  { id, signal }: { id: string; signal: AbortSignal },
): Promise<FindResult> {
  await seal.known();
  const parsed = parseLetterId(id);
  if (parsed === null) return { kind: "missing" };
  let obstacle: string | null = null;
  for (const place of places) {
    const isElsewhere =
      parsed.kind === "foreign" && (parsed.stream !== place.stream || parsed.domain !== place.domain);
    if (isElsewhere) continue;
    const which =
      parsed.kind === "letter"
        ? { last_by_subj: `${place.subject}.${parsed.subjectSuffix}` }
        : { seq: parsed.sequence };
    const result = await readLetterMessage(connection, place, { which, signal });
    const letter = result.kind === "found" ? toFound(result.message, { place, id, seal }) : null;
    if (letter !== null) return { kind: "found", letter };
    if (result.kind === "unavailable") obstacle ??= `${place.name}: ${result.reason}`;
  }
  return obstacle === null ? { kind: "missing" } : { kind: "unavailable", reason: obstacle };
}

/** null: it is another one than meant, in a stream that was made anew. */
function toFound(
  message: LetterMessage,
  { place, id, seal }: { place: LetterPlace; id: string; seal: LetterSeal },
): FoundLetter | null {
  if (!isOfPlace(place, message.subject)) return null;
  const entry = toEntry(message, place, seal.isGenuine(message, message.body));
  return entry.id === id ? { entry, place, headers: message.headers, body: message.body } : null;
}
