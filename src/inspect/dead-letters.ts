// Checks that dead-letter endpoints accept letters and keep them. Read-only.

import { counted } from "#lib/counted.ts";
import type { DeadLetterEndpoint, Subscription } from "#delivery/subscription.ts";

import { findStreamRefusal } from "./account.ts";
import { type AccountInfo, type StreamInfo, streamNames } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { checkDeadLetterStream } from "#letters/stream.ts";
import type { Finding } from "./finding.ts";
import { adviseStream, requestStreamInfo } from "#nats/stream.ts";

type Remark = Pick<Finding, "level" | "message">;

type Verdict =
  /** The endpoint accepts no letters. */
  | { readonly kind: "unusable"; readonly reason: string; readonly suggestion?: string }
  | { readonly kind: "usable"; readonly remarks: readonly Remark[] };

const NANOS_PER_MS = 1_000_000;
const LOOK_MS = 5000;

/** Checks each endpoint that a subscription uses, once. */
export async function inspectDeadLetters(
  connection: Connection,
  subscriptions: readonly Subscription[],
  accountOf: (domain: string | null) => AccountInfo | null,
): Promise<readonly Finding[]> {
  const groups = subscriptions.map(({ deadLetters }) => deadLetters);
  const endpoints = new Map(groups.flat().map((endpoint) => [endpoint.name, endpoint]));
  const verdicts = new Map<string, Verdict>(
    await Promise.all(
      [...endpoints.values()].map(
        async (endpoint) =>
          [endpoint.name, await judge(connection, endpoint, accountOf(endpoint.domain))] as const,
      ),
    ),
  );
  const isUsable = ({ name }: DeadLetterEndpoint) => verdicts.get(name)?.kind === "usable";
  return [...verdicts].flatMap(([name, verdict]) => {
    const about = `endpoint ${name}`;
    if (verdict.kind === "usable") return verdict.remarks.map((remark) => ({ about, ...remark }));
    const users = groups.filter((group) => group.some((endpoint) => endpoint.name === name));
    const level = users.every((group) => group.some(isUsable)) ? "warning" : "error";
    const { reason: message, suggestion = null } = verdict;
    return [{ level, about, message, suggestion } as const];
  });
}

async function judge(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  account: AccountInfo | null,
): Promise<Verdict> {
  const answer = await requestStreamInfo(connection, endpoint);
  if (isMissing(answer) && endpoint.create !== null)
    return inspectMissingStream(connection, endpoint, account);
  const { signal } = new AbortController(); // An inspection ends with its connection.
  const looking = { signal, timeoutMs: LOOK_MS };
  const fault = await checkDeadLetterStream(connection, { ...endpoint, create: null }, looking);
  if (isMissing(answer)) {
    const suggestion = `${await adviseStream(connection, endpoint)}; or "create": true beside it makes it`;
    return { kind: "unusable", reason: fault?.reason ?? "stream not found", suggestion };
  }
  if (fault !== null) return { kind: "unusable", reason: fault.reason };
  if (answer.kind !== "ok") return { kind: "unusable", reason: answer.reason };
  const { config, state } = answer.value;
  const about = `Dead-letter stream ${config.name}`;
  const note = `${about} takes ${endpoint.subject}.>, and holds ${counted(state.messages, "message")}`;
  const maxPayload = connection.maxPayload;
  return {
    kind: "usable",
    remarks: [
      { level: "note", message: note },
      ...listLosses(answer.value, endpoint, maxPayload).map((loss): Remark => ({
        level: "warning",
        message: `${about}: ${loss}`,
      })),
      ...listUnapplied(answer.value, endpoint).map((message): Remark => ({
        level: "note",
        message: `${about}: ${message}`,
      })),
    ],
  };
}

/** Predicts what the server would answer to its creation. */
async function inspectMissingStream(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  account: AccountInfo | null,
): Promise<Verdict> {
  const { domain, stream, subject, create } = endpoint;
  const answer = await requestApi(connection, {
    domain,
    call: "STREAM.NAMES",
    body: { subject: `${subject}.>` },
    schema: streamNames,
  });
  const owner = answer.kind === "ok" ? answer.value.streams?.[0] : undefined;
  if (owner !== undefined) {
    const reason = `cannot be created: stream ${owner} has subjects in common with ${subject}.>`;
    return { kind: "unusable", reason: `Dead-letter stream ${stream}: ${reason}` };
  }
  const { replicas = 1, maxBytes = -1 } = create ?? {};
  const refused = findStreamRefusal(account, { replicas, maxBytes });
  if (refused !== null) {
    return { kind: "unusable", reason: `Dead-letter stream ${stream}: cannot be created: ${refused}` };
  }
  const isAlone = domain === null && connection.client()?.info?.cluster === undefined;
  return {
    kind: "usable",
    remarks: [
      {
        level: "note",
        message: `Dead-letter stream ${stream} does not exist: it will be created for ${subject}.>`,
      },
      ...(replicas > 1 && isAlone
        ? [
            {
              level: "warning" as const,
              message: `Dead-letter stream ${stream}: ${replicas} replicas need a cluster, and this server is not in one`,
            },
          ]
        : []),
    ],
  };
}

/** Settings that will sooner or later delete or refuse letters. */
function listLosses(
  { config }: StreamInfo,
  { create }: DeadLetterEndpoint,
  maxPayload: number,
): readonly string[] {
  const limits = [
    ...(config.max_bytes > 0 ? [`${config.max_bytes} bytes`] : []),
    ...(config.max_msgs > 0 ? [counted(config.max_msgs, "message")] : []),
  ];
  const isAgeWanted = create !== null && config.max_age === create.maxAgeMs * NANOS_PER_MS;
  return [
    ...(config.discard === "old" && limits.length > 0
      ? [`it drops its oldest letters beyond ${limits.join(" or ")} (discard old)`]
      : []),
    ...(config.max_age > 0 && !isAgeWanted
      ? [`it drops letters after ${config.max_age / NANOS_PER_MS / 1000} s (max age)`]
      : []),
    ...(config.retention === "limits"
      ? []
      : [`it keeps letters only until consumers are done with them (retention ${config.retention})`]),
    ...(config.storage === "memory" ? ["its letters are gone when the server stops (storage memory)"] : []),
    ...(config.max_msg_size > 0 && config.max_msg_size < maxPayload
      ? [`it takes no letter above ${config.max_msg_size} bytes (max message size)`]
      : []),
  ];
}

/** Settings of `create` that differ from the existing stream, which Relay never changes. */
function listUnapplied({ config }: StreamInfo, { create }: DeadLetterEndpoint): readonly string[] {
  if (create === null) return [];
  const differing = [
    ...(config.max_age === create.maxAgeMs * NANOS_PER_MS ? [] : ["maxAgeSeconds"]),
    ...(config.max_bytes === create.maxBytes ? [] : ["maxBytes"]),
    ...(config.num_replicas === create.replicas ? [] : ["replicas"]),
  ];
  return differing.length === 0
    ? []
    : [`it is there already and never changed, so it differs from the file in ${differing.join(", ")}`];
}

function isMissing(answer: ApiAnswer<unknown>): boolean {
  return answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound;
}
