// Resolves names in the file: entrypoints, endpoints and groups.

import { ENTRYPOINT_TYPES } from "#schema/entrypoint.ts";
import type { ConfigFile } from "#schema/file.ts";
import { DELIVERY_KEYS } from "#schema/subscription.ts";
import type { Sound, SoundFile } from "#schema/validate.ts";

export type SoundEndpoint = Sound<ConfigFile["endpoints"][number]>;
export type SoundEntrypoint = Sound<ConfigFile["entrypoints"][number]>;
export type SoundSubscription = Sound<ConfigFile["subscriptions"][number]>;
export type SoundConfiguration = NonNullable<SoundSubscription["configuration"]>;

/** The result of looking a name up; `index` is the position in the list of the file. */
type Found<T> =
  | { readonly kind: "found"; readonly index: number; readonly value: T }
  | { readonly kind: "unknown" }
  | { readonly kind: "ambiguous"; readonly candidates: readonly string[] };

export function entrypointId(entrypoint: SoundEntrypoint | undefined): string | undefined {
  return entrypoint?.id ?? entrypoint?.type;
}

export function contextPathOf(entrypoint: SoundEntrypoint): string | undefined {
  if (entrypoint.contextPath !== undefined) return entrypoint.contextPath;
  const id = entrypointId(entrypoint);
  return id === undefined ? undefined : `/${id}`;
}

/**
 * The entrypoint that a subscription names by id. A type name that is nobody's id also finds an entrypoint, if only one can
 * be meant.
 */
export function findEntrypoint(
  entrypoints: readonly (SoundEntrypoint | undefined)[],
  name: string,
): Found<SoundEntrypoint> {
  const all = entrypoints.flatMap((value, index) => (value === undefined ? [] : [{ index, value }]));
  const byId = all.find(({ value }) => entrypointId(value) === name);
  if (byId !== undefined) return { kind: "found", ...byId };
  if (!ENTRYPOINT_TYPES.some((type) => type === name)) return { kind: "unknown" };
  const isType = (word: string | undefined) => ENTRYPOINT_TYPES.some((type) => type === word);
  const near = all.filter(({ value }) => value.type === name || isType(entrypointId(value)));
  return pick(near.length === 0 ? all : near, ({ value }) => entrypointId(value) ?? "");
}

/** The endpoint that an entrypoint reads from: the one it names, or the only one with a consumer. */
export function findSource(
  endpoints: readonly (SoundEndpoint | undefined)[],
  name: string | undefined,
): Found<SoundEndpoint> {
  const all = endpoints.flatMap((value, index) => (value === undefined ? [] : [{ index, value }]));
  const candidates =
    name === undefined
      ? all.filter(({ value }) => value.consumer !== undefined)
      : all.filter(({ value }) => value.name === name);
  return pick(candidates, ({ value }) => value.name ?? "");
}

function pick<T>(
  candidates: readonly { index: number; value: T }[],
  nameOf: (candidate: { index: number; value: T }) => string,
): Found<T> {
  const [first, second] = candidates;
  if (first === undefined) return { kind: "unknown" };
  if (second !== undefined) return { kind: "ambiguous", candidates: candidates.map(nameOf) };
  return { kind: "found", ...first };
}

/** The endpoints behind the name of an endpoint or group, in order; undefined: the name is unknown. */
export function endpointNamesOf(file: SoundFile, name: string): readonly string[] | undefined {
  if (file.endpoints?.some((endpoint) => endpoint?.name === name) === true) return [name];
  const group = file.endpointGroups?.find((candidate) => candidate?.name === name);
  return group?.endpoints?.filter((member) => member !== undefined);
}

/** A subscription's settings, whether they are flat or nested in `entrypointConfiguration`: both mean the same. */
export function deliverySettings(configuration: SoundConfiguration) {
  return { ...configuration, ...configuration.entrypointConfiguration };
}

/** The path of the setting `key`, relative to `configuration`. */
export function deliveryPath(configuration: SoundConfiguration, key: string): readonly string[] {
  const isNested = configuration.entrypointConfiguration !== undefined && DELIVERY_KEYS.includes(key);
  return isNested && !(key in configuration) ? ["entrypointConfiguration", key] : [key];
}
