// Checks subscriptions beyond their schema.

import { isOverlapping, isWithin } from "#delivery/subject.ts";
import type { Fault, Path } from "#schema/issue.ts";
import { unknownName } from "#schema/nearest.ts";
import { DELIVERY_KEYS } from "#schema/subscription.ts";
import type { SoundFile } from "#schema/validate.ts";
import { toSubject } from "#schema/value-advice.ts";
import { type CallbackScope, checkCallback, checkResponses, headerNames } from "./check-callback.ts";
import { checkStartTime, checkTime } from "./check-endpoints.ts";
import { checkOrdering } from "./check-ordering.ts";
import { checkCallbackSecurity } from "./check-security.ts";
import { checkShape } from "./check-shape.ts";
import {
  deliveryPath,
  deliverySettings,
  entrypointId,
  findEntrypoint,
  findSource,
  type SoundConfiguration,
  type SoundEntrypoint,
  type SoundSubscription,
} from "./references.ts";

export function checkSubscriptions(file: SoundFile, scope: CallbackScope): Fault[] {
  const checkOne = (subscription: SoundSubscription | undefined, index: number): Fault[] => {
    if (subscription === undefined) return [];
    const path = ["subscriptions", index];
    const { configuration } = subscription;
    return [...checkPeriod(subscription, path), ...checkConfiguration(file, { configuration, path, scope })];
  };
  return [...checkIds(file), ...(file.subscriptions ?? []).flatMap(checkOne)];
}

/** Every id is unique, and optional only for the single subscription of an entrypoint. */
function checkIds(file: SoundFile): Fault[] {
  const members = new Map<SoundEntrypoint, { index: number; subscription: SoundSubscription }[]>();
  for (const [index, subscription] of (file.subscriptions ?? []).entries()) {
    const name = subscription?.configuration?.entrypointId;
    if (subscription === undefined || name === undefined) continue;
    const found = findEntrypoint(file.entrypoints ?? [], name);
    if (found.kind !== "found") continue;
    const list = members.get(found.value) ?? [];
    list.push({ index, subscription });
    members.set(found.value, list);
  }
  const faults: Fault[] = [];
  for (const [entrypoint, list] of members) {
    if (list.length < 2) continue;
    for (const { index, subscription } of list) {
      if ("id" in subscription) continue;
      const message =
        `missing, because the entrypoint "${entrypointId(entrypoint)}" has ${list.length} subscriptions; ` +
        `the one that had no id so far keeps its place as "${subscription.configuration?.entrypointId}"`;
      faults.push({ path: ["subscriptions", index, "id"], message });
    }
  }
  return [...faults, ...duplicateIds(file, members)];
}

function duplicateIds(
  file: SoundFile,
  members: ReadonlyMap<SoundEntrypoint, readonly { index: number; subscription: SoundSubscription }[]>,
): Fault[] {
  const alone = new Set(
    [...members.values()].flatMap((list) => (list.length === 1 ? list : [])).map((one) => one.index),
  );
  const seen = new Map<string, number>();
  return (file.subscriptions ?? []).flatMap((subscription, index) => {
    const implied = alone.has(index) ? subscription?.configuration?.entrypointId : undefined;
    const id = subscription?.id ?? implied;
    if (id === undefined) return [];
    const path = ["subscriptions", index, "id"];
    const first = seen.get(id);
    if (first !== undefined)
      return [
        { path, message: `"${id}" is the id of another subscription already: subscriptions[${first}]` },
      ];
    seen.set(id, index);
    return [];
  });
}

function checkPeriod(subscription: SoundSubscription, path: Path): Fault[] {
  const { startingAt, endingAt } = subscription;
  const faults = [
    ...checkTime(startingAt, [...path, "startingAt"]),
    ...checkTime(endingAt, [...path, "endingAt"]),
  ];
  if (faults.length > 0 || startingAt === undefined || endingAt === undefined) return faults;
  if (Date.parse(startingAt) < Date.parse(endingAt)) return [];
  return [{ path: [...path, "endingAt"], message: "allowed: a time after startingAt" }];
}

function checkConfiguration(
  file: SoundFile,
  {
    configuration,
    path,
    scope,
  }: { configuration: SoundConfiguration | undefined; path: Path; scope: CallbackScope },
): Fault[] {
  if (configuration === undefined) return [];
  const pathOf = (key: string) => [...path, "configuration", ...deliveryPath(configuration, key)];
  const settings = deliverySettings(configuration);
  return [
    ...checkForm(configuration, path),
    ...checkEntrypoint(file, { configuration, path }),
    ...checkStartTime(settings.deliverPolicy, pathOf("deliverPolicy")),
    ...checkCallback(settings, { pathOf, scope }),
    ...checkShape(settings, { pathOf, ownHeaders: headerNames(settings) }),
    ...checkCallbackSecurity(settings, { pathOf, scope }),
  ];
}

function checkForm(configuration: SoundConfiguration, path: Path): Fault[] {
  if (configuration.entrypointConfiguration === undefined) return [];
  return DELIVERY_KEYS.filter((key) => key in configuration).map((key) => ({
    path: [...path, "configuration", key],
    message: "belongs under entrypointConfiguration, which the file uses",
  }));
}

function checkEntrypoint(
  file: SoundFile,
  { configuration, path }: { configuration: SoundConfiguration; path: Path },
): Fault[] {
  const { entrypointId: name } = configuration;
  const ids = (file.entrypoints ?? []).map(entrypointId).filter((id) => id !== undefined);
  if (name === undefined || ids.length === 0 || ids.length < (file.entrypoints ?? []).length) return [];
  const at = [...path, "configuration", "entrypointId"];
  const found = findEntrypoint(file.entrypoints ?? [], name);
  switch (found.kind) {
    case "unknown":
      return [{ path: at, ...unknownName("entrypoint", name, ids) }];
    case "ambiguous": {
      const candidates = found.candidates.map((id) => `"${id}"`).join(", ");
      return [{ path: at, message: `"${name}" may mean any of ${candidates}: name the one by its id` }];
    }
    case "found":
      return [
        ...checkHasUrl({ configuration, entrypoint: found.value, path }),
        ...checkOrdering(deliverySettings(configuration).ordering, {
          qos: found.value.qos,
          path: [...path, "configuration", ...deliveryPath(configuration, "ordering")],
        }),
        ...checkResponses(deliverySettings(configuration).responses, {
          shared: found.value.configuration?.responses,
          path: [...path, "configuration", ...deliveryPath(configuration, "responses")],
        }),
        ...checkChannel(file, { configuration, entrypoint: found.value, path }),
      ];
  }
}

interface Pair {
  readonly configuration: SoundConfiguration;
  readonly entrypoint: SoundEntrypoint;
  readonly path: Path;
}

function checkHasUrl({ configuration, entrypoint, path }: Pair): Fault[] {
  const nested = configuration.entrypointConfiguration;
  const places = [configuration, nested, entrypoint.configuration];
  // A faulty URL is not missing: its fault has been reported.
  if (places.some((place) => place !== undefined && "callbackUrl" in place)) return [];
  const at = nested === undefined ? ["callbackUrl"] : ["entrypointConfiguration", "callbackUrl"];
  const message = `missing, here or on the entrypoint "${entrypointId(entrypoint)}"`;
  return [
    { path: [...path, "configuration", ...at], message, suggestion: 'write "callbackUrl": "https://…"' },
  ];
}

function checkChannel(file: SoundFile, { configuration, entrypoint, path }: Pair): Fault[] {
  const { channel } = configuration;
  if (channel === undefined) return [];
  const at = [...path, "configuration", "channel"];
  const filters = typeof channel === "string" ? [channel] : channel;
  return filters.flatMap((filter, index) => {
    if (filter === undefined) return [];
    const place = typeof channel === "string" ? at : [...at, index];
    const other = filters
      .slice(0, index)
      .find((earlier) => earlier !== undefined && isOverlapping(earlier, filter));
    if (other !== undefined) return [{ path: place, message: `"${filter}" overlaps "${other}"` }];
    return checkWithin(file, { filter, entrypoint, path: place });
  });
}

function checkWithin(
  file: SoundFile,
  { filter, entrypoint, path }: { filter: string; entrypoint: SoundEntrypoint; path: Path },
): Fault[] {
  const source = findSource(file.endpoints ?? [], entrypoint.endpoint);
  if (source.kind !== "found") return [];
  const subjects = source.value.consumer?.subjects;
  if (subjects === undefined) return [];
  // The channel may lie within a subject whose value has a fault.
  if (subjects.some((subject) => subject === undefined || isWithin(filter, subject))) return [];
  const allowed = subjects.map((subject) => `"${subject}"`).join(", ");
  const message = `"${filter}" is not within the subjects of the endpoint "${source.value.name}": ${allowed}`;
  const meant = toSubject(filter);
  const isMeant = subjects.some((subject) => subject !== undefined && isWithin(meant, subject));
  return [{ path, message, suggestion: isMeant ? `did you mean "${meant}"?` : null }];
}
