// Resolves a subscription of the file, with its entrypoint and endpoints, to delivery's `Subscription`.

import { maxPauseMsOf, type Retry } from "#delivery/backoff.ts";
import type { OrderKey, Ordering } from "#delivery/ordering.ts";
import type { ShapeSettings } from "#delivery/shape.ts";
import {
  type DeadLetterEndpoint,
  type DeliverPolicy,
  isOrdered,
  type RateLimit,
  type ReplaySchedule,
  type Resume,
  type Source,
  type Subscription,
} from "#delivery/subscription.ts";
import type { ConfigFile, Endpoint, Entrypoint, Settings, SubscriptionEntry } from "#schema/file.ts";
import { endpointNamesOf, entrypointId, findEntrypoint, findSource } from "./references.ts";
import { type ResolveScope, resolveCallback } from "./resolve-callback.ts";
import { toLogging, toSampling } from "./resolve-record.ts";

export function resolveSubscription(
  file: ConfigFile,
  { entry, scope, origin }: { entry: SubscriptionEntry; scope: ResolveScope; origin: "file" | "api" },
): Subscription {
  const { configuration } = entry;
  const entrypoint = entrypointOf(file, configuration.entrypointId);
  const settings: Settings = { ...configuration, ...configuration.entrypointConfiguration };
  const defaults = entrypoint.configuration;
  const retry = toRetry(settings.retry ?? defaults.retry);
  const maxPauseMs = maxPauseMsOf(retry);
  return {
    id: entry.id ?? configuration.entrypointId,
    application: entry.application ?? null,
    entrypoint: entrypointId(entrypoint) ?? entrypoint.type,
    qos: entrypoint.qos,
    ordering: isOrdered(entrypoint.qos) ? toOrdering(settings.ordering ?? defaults.ordering) : null,
    source: resolveSource(file, { entrypoint, settings, channel: configuration.channel }),
    deadLetters: resolveDeadLetters(file, entrypoint.dlq?.endpoint),
    callback: resolveCallback(settings, { file, entrypoint, scope, origin, maxPauseMs }),
    shape: toShape(settings, defaults),
    metadata: entry.metadata ?? {},
    retry,
    maxAgeMs: toMs(settings.maxAgeSeconds ?? defaults.maxAgeSeconds),
    rateLimit: toRateLimit(settings.rateLimit ?? defaults.rateLimit),
    interruptOnServerError: defaults.interruptConsumptionOnServerError,
    interruptOnException: defaults.interruptConsumptionOnException,
    resume: toResume(defaults.resume),
    replay: toReplaySchedule(entrypoint.dlq?.replay),
    recording: { logging: toLogging(defaults.logging), sampling: toSampling(defaults.sampling) },
    startingAt: toDate(entry.startingAt),
    endingAt: toDate(entry.endingAt),
    isPaused: entry.status === "PAUSED",
  };
}

/** Throws if there is none: the checks have followed every reference, so that would be a bug. */
function entrypointOf(file: ConfigFile, name: string): Entrypoint {
  const found = findEntrypoint(file.entrypoints, name);
  const entrypoint = found.kind === "found" ? file.entrypoints[found.index] : undefined;
  if (entrypoint === undefined) throw new Error(`Entrypoint not found: ${name}`);
  return entrypoint;
}

function resolveSource(
  file: ConfigFile,
  {
    entrypoint,
    settings,
    channel,
  }: { entrypoint: Entrypoint; settings: Settings; channel: string | readonly string[] | undefined },
): Source {
  const found = findSource(file.endpoints, entrypoint.endpoint);
  const endpoint = found.kind === "found" ? file.endpoints[found.index] : undefined;
  if (endpoint?.consumer === undefined) throw new Error(`Endpoint not found for ${entrypointId(entrypoint)}`);
  const { consumer } = endpoint;
  const policy =
    settings.deliverPolicy ?? consumer.deliverPolicy ?? (entrypoint.qos === "NONE" ? "new" : "all");
  return {
    domain: endpoint.domain ?? null,
    stream: consumer.stream,
    filterSubjects: channel === undefined ? (consumer.subjects ?? []) : [channel].flat(),
    deliverPolicy: toDeliverPolicy(policy),
    ackWaitMs: consumer.ackWaitSeconds * 1000,
  };
}

function toDeliverPolicy(policy: NonNullable<Settings["deliverPolicy"]>): DeliverPolicy {
  if (typeof policy === "string") return { kind: policy };
  return "startSequence" in policy
    ? { kind: "start-sequence", sequence: policy.startSequence }
    : { kind: "start-time", time: new Date(policy.startTime) };
}

/** The dead-letter endpoints of all entrypoints, with or without subscriptions. An endpoint may occur several times. */
export function resolveLetterEndpoints(file: ConfigFile): readonly DeadLetterEndpoint[] {
  return file.entrypoints.flatMap(({ dlq }) => resolveDeadLetters(file, dlq?.endpoint));
}

function resolveDeadLetters(file: ConfigFile, name: string | undefined): readonly DeadLetterEndpoint[] {
  if (name === undefined) return [];
  const names = endpointNamesOf(file, name) ?? [];
  return names.flatMap((member) => {
    const endpoint = file.endpoints.find((candidate) => candidate.name === member);
    return endpoint === undefined ? [] : toDeadLetterEndpoint(endpoint);
  });
}

function toDeadLetterEndpoint({ name, domain, producer }: Endpoint): DeadLetterEndpoint[] {
  if (producer === undefined) return [];
  const { create, maxAgeSeconds = 0, maxBytes = -1, replicas } = producer;
  return [
    {
      name,
      domain: domain ?? null,
      stream: producer.stream,
      subject: producer.subject,
      create: create ? { maxAgeMs: maxAgeSeconds * 1000, maxBytes, replicas } : null,
    },
  ];
}

function toRetry(retry: Settings["retry"]): Retry {
  if (retry === undefined || retry.retryOption === "No Retry") return { kind: "none" };
  return {
    kind: retry.retryStrategy === "LINEAR" ? "linear" : "exponential",
    maxAttempts: retry.maxAttempts,
    initialDelayMs: retry.initialDelaySeconds * 1000,
    maxDelayMs: retry.maxDelaySeconds * 1000,
  };
}

const WINDOW = 64;
const WINDOW_BY_KEY = 256;

function toOrdering(ordering: Settings["ordering"]): Ordering {
  const {
    key,
    onFailure = "subscription",
    window = key === undefined ? WINDOW : WINDOW_BY_KEY,
  } = ordering ?? {};
  return { key: toOrderKey(key), onFailure, window };
}

function toOrderKey(key: string | undefined): OrderKey {
  if (key === undefined) return { kind: "none" };
  const [kind, value = ""] = key.split(":");
  if (kind === "token") return { kind, index: Number(value) };
  return kind === "header" ? { kind, name: value.toLowerCase() } : { kind: "subject" };
}

function toMs(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}

function toRateLimit(rateLimit: Settings["rateLimit"]): RateLimit | null {
  if (rateLimit === undefined) return null;
  const { requests, perSeconds, burst = requests } = rateLimit;
  return { requests, perSeconds, burst };
}

function toResume(resume: Entrypoint["configuration"]["resume"]): Resume {
  if (resume.strategy === "MANUAL") return { kind: "manual" };
  const { initialDelaySeconds, maxDelaySeconds } = resume;
  return { kind: "auto", initialDelayMs: initialDelaySeconds * 1000, maxDelayMs: maxDelaySeconds * 1000 };
}

/** A subscription's keys replace its entrypoint's, one by one. */
function toShape(settings: Settings, defaults: Entrypoint["configuration"]): ShapeSettings {
  const filter = settings.filter ?? defaults.filter;
  const transform = settings.transform ?? defaults.transform;
  const format = settings.format ?? defaults.format;
  const cloudEvents = settings.cloudEvents ?? defaults.cloudEvents;
  return {
    filter: filter ?? null,
    body: transform?.body ?? null,
    path: transform?.path ?? null,
    query: transform?.query ?? null,
    method: transform?.method ?? null,
    headers: (transform?.headers ?? []).map(({ name, value }) => [name, value] as const),
    format: format ?? "raw",
    source: cloudEvents?.source ?? null,
    type: cloudEvents?.type ?? null,
  };
}

function toReplaySchedule(replay: NonNullable<Entrypoint["dlq"]>["replay"] | undefined): ReplaySchedule {
  if (replay === undefined || replay.strategy === "MANUAL") return { kind: "manual" };
  return { kind: "scheduled", intervalMs: replay.intervalSeconds * 1000, maxReplays: replay.maxReplays };
}

function toDate(time: string | undefined): Date | null {
  return time === undefined ? null : new Date(time);
}
