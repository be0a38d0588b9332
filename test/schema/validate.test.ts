// The file against its schema: what is said about each kind of fault.

import { expect, test } from "bun:test";
import {
  faultsOf,
  FILE,
  SOURCE,
  withDelivery,
  withEntrypoint,
  withSettings,
  withSubscription,
  type Json,
} from "../config/parse-for-test.ts";

const D = "subscriptions[0].configuration";
const E = "entrypoints[0]";
const retry = (more: Json) => ({ retryOption: "Retry On Fail", ...more });
const endpoints = (...list: readonly Json[]) => ({ ...FILE, endpoints: list });

test.each<[string, unknown, readonly string[]]>([
  ["an unknown key", withEntrypoint({ qoss: "AUTO" }), [`${E}.qoss: unknown key`]],
  [
    "an unknown key that is near none",
    { ...FILE, endpointGroups: [{ name: "g", endpoints: ["orders"], colour: 1 }] },
    ["endpointGroups[0].colour: unknown key, known here: name, endpoints"],
  ],
  [
    "every unknown key of an object, also those of every JavaScript object",
    `{"endpoints":[{"name":"orders","type":"jetstream","consumer":{"stream":"O"},"constructor":1,"__proto__":{}}],"entrypoints":[{"type":"webhook"}]}`,
    [
      "endpoints[0].constructor: unknown key, known here: name, type, domain, consumer, producer",
      "endpoints[0].__proto__: unknown key, known here: name, type, domain, consumer, producer",
    ],
  ],
  [
    "a missing key",
    { entrypoints: [{ type: "webhook" }] },
    ["endpoints: missing, allowed: a list of 1 to 1000"],
  ],
  [
    "a wrong word with the allowed ones",
    withEntrypoint({ qos: "ALWAYS" }),
    [`${E}.qos: found "ALWAYS", allowed: NONE, AUTO, AT_MOST_ONCE, AT_LEAST_ONCE`],
  ],
  [
    "a wrong type",
    withSettings({ http: { readTimeout: "10000" } }),
    [
      `${E}.configuration.http.readTimeout: found "10000", allowed: a whole number of milliseconds from 1 to 600000`,
    ],
  ],
  [
    "a number out of range",
    withSettings({ http: { maxConcurrentConnections: 21 } }),
    [`${E}.configuration.http.maxConcurrentConnections: found 21, allowed: a whole number from 1 to 20`],
  ],
  [
    "a fraction",
    withSettings({ retry: retry({ maxAttempts: 1.5 }) }),
    [`${E}.configuration.retry.maxAttempts: found 1.5, allowed: a whole number from 1 to 1000`],
  ],
  [
    "a list for an object of strings",
    withSubscription({
      metadata: ["a"],
      configuration: { entrypointId: "webhook", callbackUrl: "http://h/" },
    }),
    ["subscriptions[0].metadata: found a list, allowed: an object of strings"],
  ],
  [
    "a list for an object",
    { ...FILE, server: [] },
    ["server: found a list, allowed: an object with listen, tls, auth, controlSocket"],
  ],
  [
    "an unknown variant",
    withDelivery({ auth: { type: "digest" } }),
    [`${D}.auth.type: found "digest", allowed: none, basic, token, oauth2, jwtProfileOauth2`],
  ],
  [
    "a fault of the chosen variant only",
    withDelivery({ auth: { type: "basic", basic: { username: "u" } } }),
    [
      `${D}.auth.basic.password: missing, allowed: a string, { "env": "NAME" }, { "file": "/path" } or { "credential": "name" }`,
    ],
  ],
  [
    "a malformed reference",
    withDelivery({ headers: [{ name: "X", value: { environment: "X" } }] }),
    [
      `${D}.headers[0].value: allowed: a string, { "env": "NAME" }, { "file": "/path" } or { "credential": "name" }`,
    ],
  ],
  [
    "a malformed subject",
    endpoints({ ...SOURCE, consumer: { stream: "ORDERS", subjects: ["orders.>.new"] } }),
    [
      "endpoints[0].consumer.subjects[0]: found a string of another form, allowed: a NATS subject, where * stands for one token " +
        "and > at the end for the rest",
    ],
  ],
  [
    "a malformed deliver policy",
    endpoints({ ...SOURCE, consumer: { stream: "ORDERS", deliverPolicy: { startSequence: "1" } } }),
    [
      'endpoints[0].consumer.deliverPolicy: allowed: "all", "new", "last", { "startSequence": 1 } or ' +
        '{ "startTime": "2026-01-31T12:00:00Z" }',
    ],
  ],
  [
    "a header name that is none",
    withDelivery({ headers: [{ name: "X Y", value: "" }] }),
    [`${D}.headers[0].name: found a string of another form, allowed: the name of an HTTP header`],
  ],
  [
    "credentials in a server's URL",
    { ...FILE, nats: { servers: ["nats://user:hunter2@127.0.0.1:4222"] } },
    [
      "nats.servers[0]: found a string of another form, allowed: nats://host:port or tls://host:port, without credentials (those " +
        "belong in nats.auth)",
    ],
  ],
  [
    "a sampling rate that is none",
    withSettings({ sampling: { type: "COUNT", value: "0" } }),
    [`${E}.configuration.sampling.value: found "0", allowed: a count such as "100"`],
  ],
])("validate() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});
