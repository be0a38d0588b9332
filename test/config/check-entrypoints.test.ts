// Faults of entrypoints: ids, paths, and settings that exclude each other.

import { expect, test } from "bun:test";
import { faultsOf, FILE, withEntrypoint, withSettings, type Json } from "./parse-for-test.ts";

const E = "entrypoints[0]";
const retry = (more: Json) => ({ retryOption: "Retry On Fail", ...more });

test.each<[string, unknown, readonly string[]]>([
  [
    "an entrypoint id that is taken",
    { ...FILE, entrypoints: [{ type: "webhook" }, { type: "webhook" }] },
    ['entrypoints[1].id: "webhook" is the id of another entrypoint already: give this one an id'],
  ],
  [
    "a context path that is Relay's own",
    withEntrypoint({ contextPath: "/api/x" }),
    [`${E}.contextPath: /api/x is one of Relay's own paths: /api`],
  ],
  [
    "a context path where the page has its views",
    withEntrypoint({ contextPath: "/page/hooks" }),
    [`${E}.contextPath: /page/hooks is one of Relay's own paths: /page`],
  ],
  [
    "an id that makes such a path",
    withEntrypoint({ id: "metrics" }),
    [`${E}.id: /metrics is one of Relay's own paths: /metrics`],
  ],
  [
    "a context path below that of another entrypoint",
    {
      ...FILE,
      entrypoints: [{ type: "webhook" }, { type: "webhook", id: "b", contextPath: "/webhook/b" }],
    },
    ['entrypoints[1].contextPath: /webhook/b clashes with /webhook of the entrypoint "webhook"'],
  ],
  [
    "a scheduled replay under AT_MOST_ONCE",
    withEntrypoint({
      qos: "at-most-once",
      dlq: { endpoint: "letters", replay: { strategy: "SCHEDULED", intervalSeconds: 60, maxReplays: 3 } },
    }),
    [
      `${E}.dlq.replay.strategy: SCHEDULED is refused under AT_MOST_ONCE: it could send a message twice; allowed: MANUAL`,
    ],
  ],
  [
    "a system proxy that is not there",
    withSettings({ proxy: { enabled: true, useSystemProxy: true } }),
    [
      `${E}.configuration.proxy.useSystemProxy: there is no system proxy: set system.proxy, or HTTP_PROXY or HTTPS_PROXY in ` +
        "the environment",
    ],
  ],
  [
    "a proxy without a host",
    withSettings({ proxy: { enabled: true, type: "HTTP", port: 8080 } }),
    [`${E}.configuration.proxy.host: missing, for a proxy without useSystemProxy`],
  ],
  [
    "an initial delay above the maximum of a retry",
    withSettings({ retry: retry({ initialDelaySeconds: 61 }) }),
    [`${E}.configuration.retry.initialDelaySeconds: found 61, allowed: at most maxDelaySeconds, which is 60`],
  ],
  [
    "an initial delay above the maximum of a resume",
    withSettings({ resume: { strategy: "AUTO", initialDelaySeconds: 10, maxDelaySeconds: 9 } }),
    [`${E}.configuration.resume.initialDelaySeconds: found 10, allowed: at most maxDelaySeconds, which is 9`],
  ],
  [
    "a header that stands twice",
    withSettings({
      headers: [
        { name: "x-a", value: "1" },
        { name: "X-A", value: "2" },
      ],
    }),
    [`${E}.configuration.headers[1].name: X-A is listed twice`],
  ],
])("checkEntrypoints() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});
