// Where dead letters lie: the subjects of endpoints, each once, and whose an entry is.

import type { DeadLetterEndpoint } from "#delivery/subscription.ts";

export interface LetterPlace {
  /** The first endpoint with that subject. */
  readonly name: string;
  readonly domain: string | null;
  readonly stream: string;
  readonly subject: string;
  /** Subjects of other places below that of this one, in the same stream. */
  readonly others: readonly string[];
}

/** Two endpoints with the same stream and subject are one place. */
export function toPlaces(endpoints: readonly DeadLetterEndpoint[]): readonly LetterPlace[] {
  const places = new Map<string, DeadLetterEndpoint>();
  for (const endpoint of endpoints) {
    const key = placeKey(endpoint);
    if (!places.has(key)) places.set(key, endpoint);
  }
  return [...places.values()].map(({ name, domain, stream, subject }) => ({
    name,
    domain,
    stream,
    subject,
    others: [...places.values()]
      .filter((other) => other.domain === domain && other.stream === stream)
      .map((other) => other.subject)
      .filter((other) => other.startsWith(`${subject}.`)),
  }));
}

/** The same for as long as the place is: the endpoint may get another name. */
export function placeKey({ domain, stream, subject }: Omit<LetterPlace, "name" | "others">): string {
  return [domain ?? "", stream, subject].join(" ");
}

export function isOfPlace({ subject, others }: LetterPlace, found: string): boolean {
  return found.startsWith(`${subject}.`) && !others.some((other) => found.startsWith(`${other}.`));
}
