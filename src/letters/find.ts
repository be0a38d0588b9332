// Finds one dead letter by its id, in all locations.

import { type LetterEntry, toEntry } from "#delivery/letter.ts";
import { parseLetterId } from "#delivery/letter-id.ts";
import type { Header } from "#delivery/message.ts";
import type { Connection } from "#nats/connection.ts";
import { type LetterMessage, readLetterMessage } from "./message.ts";
import { isAtLocation, type LetterLocation } from "./locations.ts";
import type { LetterSigner } from "./signer.ts";

export interface FoundLetter {
  readonly entry: LetterEntry;
  readonly location: LetterLocation;
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
}

export type FindResult =
  | { readonly kind: "found"; readonly letter: FoundLetter }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

/** The first match in the order of the locations. `missing` only if every location could be read. */
export async function findLetter(
  connection: Connection,
  { locations, signer }: { locations: readonly LetterLocation[]; signer: LetterSigner },
  { id, signal }: { id: string; signal: AbortSignal },
): Promise<FindResult> {
  await signer.known();
  const parsed = parseLetterId(id);
  if (parsed === null) return { kind: "missing" };
  let obstacle: string | null = null;
  for (const location of locations) {
    const isElsewhere =
      parsed.kind === "foreign" && (parsed.stream !== location.stream || parsed.domain !== location.domain);
    if (isElsewhere) continue;
    const which =
      parsed.kind === "letter"
        ? { last_by_subj: `${location.subject}.${parsed.subjectSuffix}` }
        : { seq: parsed.sequence };
    const result = await readLetterMessage(connection, location, { which, signal });
    const letter = result.kind === "found" ? toFound(result.message, { location, id, signer }) : null;
    if (letter !== null) return { kind: "found", letter };
    if (result.kind === "unavailable") obstacle ??= `${location.name}: ${result.reason}`;
  }
  return obstacle === null ? { kind: "missing" } : { kind: "unavailable", reason: obstacle };
}

/** null: another letter has that sequence, because the stream was re-created. */
function toFound(
  message: LetterMessage,
  { location, id, signer }: { location: LetterLocation; id: string; signer: LetterSigner },
): FoundLetter | null {
  if (!isAtLocation(location, message.subject)) return null;
  const entry = toEntry(message, location, signer.isGenuine(message, message.body));
  return entry.id === id ? { entry, location, headers: message.headers, body: message.body } : null;
}
