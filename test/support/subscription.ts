// A subscription, a callback and a route as the config makes them where nothing is said: what a test is about, it changes.

import type { CallbackSettings, Route, TokenParameter } from "#delivery/callback.ts";
import { UNSHAPED } from "#delivery/shape.ts";
import type { Subscription } from "#delivery/subscription.ts";

export function toRoute(changes: Partial<Route> = {}): Route {
  return {
    connectTimeoutMs: 3000,
    tls: { trusted: null, identity: null, verifiesCertificate: true, verifiesHostName: true },
    proxy: { kind: "none" },
    addresses: { allow: [], deny: [], deniesPrivate: false },
    ...changes,
  };
}

export function toCallbackSettings(url: URL, changes: Partial<CallbackSettings> = {}): CallbackSettings {
  return {
    url,
    displayUrl: `${url.origin}${url.pathname}`,
    method: "POST",
    headers: [],
    auth: { kind: "none" },
    signatureKeys: [],
    secrets: [],
    ownsSecrets: true,
    errorExcerpt: true,
    responses: [],
    route: toRoute(),
    readTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    maxPauseMs: 60_000,
    maxConcurrentConnections: 5,
    ...changes,
  };
}

export function toSubscription(changes: Partial<Subscription> = {}): Subscription {
  return {
    id: "billing",
    application: null,
    entrypoint: "webhook",
    qos: "AUTO",
    ordering: null,
    source: {
      domain: null,
      stream: "ORDERS",
      filterSubjects: [],
      deliverPolicy: { kind: "all" },
      ackWaitMs: 30_000,
    },
    deadLetters: [],
    callback: toCallbackSettings(new URL("http://127.0.0.1/")),
    retry: { kind: "none" },
    rateLimit: null,
    maxAgeMs: null,
    interruptOnServerError: true,
    interruptOnException: true,
    resume: { kind: "manual" },
    replay: { kind: "manual" },
    shape: UNSHAPED,
    metadata: {},
    recording: {
      logging: { requestHeaders: false, requestBody: false, responseHeaders: false, responseBody: false },
      sampling: { kind: "windowed-count", count: 10, windowMs: 1000 },
    },
    startingAt: null,
    endingAt: null,
    isPaused: false,
    ...changes,
  };
}

/** One that asks for nothing special. */
export function toTokenEndpoint(url: URL) {
  const parameters: readonly TokenParameter[] = [];
  return {
    tokenUrl: url,
    tokenDisplayUrl: `${url.origin}${url.pathname}`,
    parameters,
    tokenType: "Bearer",
  };
}
