// Locations of dead letters: the distinct subjects of all endpoints, and which location an entry belongs to.

import type { DeadLetterEndpoint } from "#delivery/subscription.ts";

export interface LetterLocation {
  /** The first endpoint with that subject. */
  readonly name: string;
  readonly domain: string | null;
  readonly stream: string;
  readonly subject: string;
  /** Subjects of other locations below this one's subject, in the same stream. */
  readonly others: readonly string[];
}

/** Two endpoints with the same stream and subject are one location. */
export function toLocations(endpoints: readonly DeadLetterEndpoint[]): readonly LetterLocation[] {
  const locations = new Map<string, DeadLetterEndpoint>();
  for (const endpoint of endpoints) {
    const key = locationKey(endpoint);
    if (!locations.has(key)) locations.set(key, endpoint);
  }
  return [...locations.values()].map(({ name, domain, stream, subject }) => ({
    name,
    domain,
    stream,
    subject,
    others: [...locations.values()]
      .filter((other) => other.domain === domain && other.stream === stream)
      .map((other) => other.subject)
      .filter((other) => other.startsWith(`${subject}.`)),
  }));
}

/** Stays the same when the endpoint gets another name. */
export function locationKey({ domain, stream, subject }: Omit<LetterLocation, "name" | "others">): string {
  return [domain ?? "", stream, subject].join(" ");
}

export function isAtLocation({ subject, others }: LetterLocation, found: string): boolean {
  return found.startsWith(`${subject}.`) && !others.some((other) => found.startsWith(`${other}.`));
}
