// PURE. The subjects of a fleet, and which subjects an answer may go to.

import { LITERAL_SUBJECT } from "#delivery/subject.ts";

/** What a service of NATS is called: `nats micro info relay`. */
export const SERVICE = "relay";

export interface FleetPlace {
  /** `fleet.prefix`. */
  readonly prefix: string;
  /** `host.name`. */
  readonly host: string;
}

/** One token of a subject: `edge.7` and `edge_7` have the same. */
export function toSubjectToken(host: string): string {
  return host.replaceAll(/[^A-Za-z0-9_-]/gu, "_");
}

interface HostSubjects {
  /** Whoever may publish here may do everything. */
  readonly api: string;
  /** Whoever may publish here may read everything. */
  readonly read: string;
  /** Relays of one host's name hear each other here. */
  readonly presence: string;
}

export function hostSubjects({ prefix, host }: FleetPlace): HostSubjects {
  const own = `${prefix}.${toSubjectToken(host)}`;
  return { api: `${own}.api`, read: `${own}.api.read`, presence: `${own}.presence` };
}

/** Every relay answers here with its summary. */
export function summariesSubject(prefix: string): string {
  return `${prefix}.hosts`;
}

const MAX_REPLY_LENGTH = 256;

/**
 * Only inboxes: an answer to another subject would be published with the rights of the relay, not with those of the one who
 * asked for it. `_R_` is what a NATS account maps inboxes of another one to.
 */
export function isInbox(reply: string, inboxPrefix: string): boolean {
  if (reply.length > MAX_REPLY_LENGTH || !LITERAL_SUBJECT.test(reply)) return false;
  return /^(?:_INBOX[A-Za-z0-9_-]*|_R_)\./u.test(reply) || reply.startsWith(`${inboxPrefix}.`);
}

/** Who asks, as far as NATS tells: answers to one client have the beginning of their subjects in common. */
export function callerOf(reply: string, inboxPrefix: string): string {
  const depth = inboxPrefix.split(".").length;
  const tokens = reply.split(".");
  return tokens.slice(0, reply.startsWith(`${inboxPrefix}.`) ? depth + 1 : 2).join(".");
}
