// Checks entrypoints beyond their schema: broken references, and settings that exclude each other.

import { isOverlapping } from "#delivery/subject.ts";
import type { Fault, Path } from "#schema/issue.ts";
import { unknownName } from "#schema/nearest.ts";
import type { SoundFile } from "#schema/validate.ts";
import {
  type CallbackScope,
  checkCallback,
  checkResponses,
  checkDelays,
  headerNames,
} from "./check-callback.ts";
import { endpointNames } from "./check-endpoints.ts";
import { checkOrdering } from "./check-ordering.ts";
import { checkShape } from "./check-shape.ts";
import {
  contextPathOf,
  endpointNamesOf,
  entrypointId,
  findSource,
  type SoundEndpoint,
  type SoundEntrypoint,
} from "./references.ts";

const CONSUMER_ADVICE = 'write "consumer": { "stream": "ORDERS" }, with the name of your stream, into';

const OWN_PATHS: readonly string[] = ["/livez", "/readyz", "/metrics", "/openapi.json", "/api", "/page"];

export type SystemProxy =
  | { readonly kind: "found" }
  | { readonly kind: "none" }
  | { readonly kind: "invalid"; readonly message: string };

interface EntrypointScope extends CallbackScope {
  readonly systemProxy: SystemProxy;
}

export function checkEntrypoints(file: SoundFile, scope: EntrypointScope): Fault[] {
  const entrypoints = file.entrypoints ?? [];
  const checkOne = (entrypoint: SoundEntrypoint | undefined, index: number): Fault[] => {
    if (entrypoint === undefined) return [];
    const path = ["entrypoints", index];
    const { configuration = {} } = entrypoint;
    const earlier = entrypoints.slice(0, index).filter((other) => other !== undefined);
    const pathOf = (key: string) => [...path, "configuration", key];
    return [
      ...checkIdentity(entrypoint, { path, earlier }),
      ...checkSource(file, entrypoint, path),
      ...checkDeadLetters(file, entrypoint, path),
      ...checkProxy(configuration.proxy, { path: pathOf("proxy"), scope }),
      ...(configuration.resume === undefined ? [] : checkDelays(configuration.resume, pathOf("resume"))),
      ...checkCallback(configuration, { pathOf, scope }),
      ...checkResponses(configuration.responses, { path: pathOf("responses") }),
      ...checkShape(configuration, { pathOf, ownHeaders: headerNames(configuration) }),
      ...checkOrdering(configuration.ordering, { qos: entrypoint.qos, path: pathOf("ordering") }),
    ];
  };
  return entrypoints.flatMap(checkOne);
}

function checkIdentity(
  entrypoint: SoundEntrypoint,
  { path, earlier }: { path: Path; earlier: readonly SoundEntrypoint[] },
): Fault[] {
  const id = entrypointId(entrypoint);
  if (id !== undefined && earlier.some((other) => entrypointId(other) === id)) {
    const message = `"${id}" is the id of another entrypoint already${entrypoint.id === undefined ? ": give this one an id" : ""}`;
    return [{ path: [...path, "id"], message }];
  }
  const contextPath = contextPathOf(entrypoint);
  if (contextPath === undefined) return [];
  const at = entrypoint.contextPath === undefined ? [...path, "id"] : [...path, "contextPath"];
  const own = OWN_PATHS.find((other) => isShadowing(contextPath, other));
  if (own !== undefined) return [{ path: at, message: `${contextPath} is one of Relay's own paths: ${own}` }];
  const other = earlier.find((candidate) => isShadowing(contextPath, contextPathOf(candidate) ?? ""));
  if (other === undefined) return [];
  const message = `${contextPath} clashes with ${contextPathOf(other)} of the entrypoint "${entrypointId(other)}"`;
  return [{ path: at, message }];
}

/** True: the paths are equal, or one of them lies below the other. */
function isShadowing(left: string, right: string): boolean {
  if (left === "" || right === "") return false;
  return `${left}/`.startsWith(`${right}/`) || `${right}/`.startsWith(`${left}/`);
}

function checkSource(file: SoundFile, entrypoint: SoundEntrypoint, path: Path): Fault[] {
  const known = endpointNames(file);
  if (known === null) return [];
  const at = [...path, "endpoint"];
  const found = findSource(file.endpoints ?? [], entrypoint.endpoint);
  if (found.kind === "ambiguous") {
    if (entrypoint.endpoint !== undefined) return [];
    const names = found.candidates.map((name) => `"${name}"`).join(", ");
    return [{ path: at, message: `missing, because several endpoints have a consumer: ${names}` }];
  }
  if (found.kind === "unknown") {
    return entrypoint.endpoint === undefined
      ? [
          {
            path: at,
            message: "no endpoint has a consumer to read from",
            suggestion: `${CONSUMER_ADVICE} an endpoint`,
          },
        ]
      : [{ path: at, ...unknownName("endpoint", entrypoint.endpoint, known) }];
  }
  if (found.value.consumer === undefined) {
    const message = `"${found.value.name}" has no consumer, so it cannot be read from`;
    return [{ path: at, message, suggestion: `${CONSUMER_ADVICE} endpoints[${found.index}]` }];
  }
  return [];
}

function checkDeadLetters(file: SoundFile, entrypoint: SoundEntrypoint, path: Path): Fault[] {
  const { dlq } = entrypoint;
  const faults: Fault[] = [];
  if (dlq?.replay?.strategy === "SCHEDULED" && entrypoint.qos === "AT_MOST_ONCE") {
    const message = "SCHEDULED is refused under AT_MOST_ONCE: it could send a message twice; allowed: MANUAL";
    faults.push({ path: [...path, "dlq", "replay", "strategy"], message });
  }
  const known = endpointNames(file);
  if (dlq?.endpoint === undefined || known === null) return faults;
  const at = [...path, "dlq", "endpoint"];
  const names = endpointNamesOf(file, dlq.endpoint);
  if (names === undefined) {
    const groups = (file.endpointGroups ?? []).flatMap((group) => group?.name ?? []);
    return [
      ...faults,
      { path: at, ...unknownName("endpoint or endpoint group", dlq.endpoint, [...known, ...groups]) },
    ];
  }
  const source = findSource(file.endpoints ?? [], entrypoint.endpoint);
  for (const [index, endpoint] of (file.endpoints ?? []).entries()) {
    if (endpoint?.name === undefined || !names.includes(endpoint.name)) continue;
    if (endpoint.producer === undefined) {
      faults.push({
        path: at,
        message: `"${endpoint.name}" has no producer, so it cannot take dead letters`,
        suggestion: `write "producer": { "stream": "DEAD_LETTERS", "subject": "dead-letters" } into endpoints[${index}]`,
      });
    } else if (source.kind === "found") {
      faults.push(...checkLoop(endpoint, { source: source.value, index, entrypoint }));
    }
  }
  return faults;
}

/** An entrypoint that reads its own dead letters would deliver them in an endless loop. */
function checkLoop(
  endpoint: SoundEndpoint,
  { source, index, entrypoint }: { source: SoundEndpoint; index: number; entrypoint: SoundEntrypoint },
): Fault[] {
  const { consumer } = source;
  const subject = endpoint.producer?.subject;
  if (consumer === undefined || subject === undefined) return [];
  const isSameStream = endpoint.producer?.stream === consumer.stream && endpoint.domain === source.domain;
  const read = consumer.subjects ?? (isSameStream ? [">"] : []);
  const inside = read.find(
    (filter) =>
      filter !== undefined && (isOverlapping(`${subject}.>`, filter) || isOverlapping(subject, filter)),
  );
  if (inside === undefined) return [];
  const consumed = inside === ">" ? `all of the stream ${consumer.stream}` : `"${inside}"`;
  const message = `"${subject}" lies inside what the entrypoint "${entrypointId(entrypoint)}" consumes: ${consumed}`;
  return [{ path: ["endpoints", index, "producer", "subject"], message }];
}

function checkProxy(
  proxy: NonNullable<SoundEntrypoint["configuration"]>["proxy"],
  { path, scope }: { path: Path; scope: EntrypointScope },
): Fault[] {
  if (proxy?.enabled !== true) return [];
  const own = ["type", "host", "port", "username", "password"] as const;
  if (proxy.useSystemProxy === true) {
    const extra = own.filter((key) => proxy[key] !== undefined);
    const faults = extra.map((key) => ({ path: [...path, key], message: "excluded by useSystemProxy" }));
    if (scope.systemProxy.kind === "found") return faults;
    const message =
      scope.systemProxy.kind === "invalid"
        ? scope.systemProxy.message
        : "there is no system proxy: set system.proxy, or HTTP_PROXY or HTTPS_PROXY in the environment";
    return [...faults, { path: [...path, "useSystemProxy"], message }];
  }
  // A key with a faulty value is not missing: its fault has been reported.
  return (["type", "host", "port"] as const)
    .filter((key) => !(key in proxy))
    .map((key) => ({ path: [...path, key], message: "missing, for a proxy without useSystemProxy" }));
}
