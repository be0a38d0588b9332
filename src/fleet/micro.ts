// PURE. What a NATS micro service says about itself (ADR-32): to `nats micro ls`, `info` and `stats`.

import { SERVICE } from "./subjects.ts";

export interface ServiceEndpoint {
  readonly name: string;
  readonly subject: string;
  requests: number;
  errors: number;
  lastError: string;
  /** In ms. */
  busyMs: number;
}

interface Described {
  readonly id: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly startedAt: Date;
  readonly endpoints: readonly ServiceEndpoint[];
}

export const VERBS = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof VERBS)[number];

/** The subjects that a question may come to. */
export function questionSubjects(verb: Verb, id: string): readonly string[] {
  const all = `$SRV.${verb}`;
  return [all, `${all}.${SERVICE}`, `${all}.${SERVICE}.${id}`];
}

export function answerQuestion(verb: Verb, described: Described): object {
  const { id, version, metadata, startedAt, endpoints } = described;
  const own = {
    type: `io.nats.micro.v1.${verb.toLowerCase()}_response`,
    name: SERVICE,
    id,
    version,
    metadata,
  };
  switch (verb) {
    case "PING":
      return own;
    case "INFO":
      return {
        ...own,
        description: "Relay: its API over NATS",
        endpoints: endpoints.map(({ name, subject }) => ({ name, subject, queue_group: "", metadata: {} })),
      };
    case "STATS":
      return {
        ...own,
        started: startedAt.toISOString(),
        endpoints: endpoints.map((endpoint) => ({
          name: endpoint.name,
          subject: endpoint.subject,
          queue_group: "",
          num_requests: endpoint.requests,
          num_errors: endpoint.errors,
          last_error: endpoint.lastError,
          processing_time: Math.round(endpoint.busyMs * 1e6),
          average_processing_time: Math.round((endpoint.busyMs * 1e6) / Math.max(1, endpoint.requests)),
        })),
      };
  }
}
