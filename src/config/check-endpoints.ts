// Checks endpoints and endpoint groups beyond their schema.

import { isOverlapping } from "#delivery/subject.ts";
import type { Fault, Path } from "#schema/issue.ts";
import { unknownName } from "#schema/nearest.ts";
import { isOnCalendar } from "#schema/parts.ts";
import type { SoundFile } from "#schema/validate.ts";
import type { SoundEndpoint } from "./references.ts";

export function checkEndpoints(file: SoundFile): Fault[] {
  return [
    ...duplicateNames(file),
    ...(file.endpoints ?? []).flatMap((endpoint, index) => checkEndpoint(endpoint, ["endpoints", index])),
    ...(file.endpointGroups ?? []).flatMap((_, index) => checkGroup(file, index)),
  ];
}

/** Endpoints and groups share one namespace, because `dlq.endpoint` may name either. */
function duplicateNames(file: SoundFile): Fault[] {
  const named = [
    ...(file.endpoints ?? []).map((item, index) => ({
      name: item?.name,
      path: ["endpoints", index, "name"],
    })),
    ...(file.endpointGroups ?? []).map((item, index) => ({
      name: item?.name,
      path: ["endpointGroups", index, "name"],
    })),
  ];
  const seen = new Set<string>();
  return named.flatMap(({ name, path }) => {
    if (name === undefined) return [];
    if (seen.has(name))
      return [{ path, message: `"${name}" is the name of another endpoint or group already` }];
    seen.add(name);
    return [];
  });
}

function checkEndpoint(endpoint: SoundEndpoint | undefined, path: Path): Fault[] {
  const subjects = (endpoint?.consumer?.subjects ?? []).filter((subject) => subject !== undefined);
  const overlaps = subjects.flatMap((subject, index) => {
    const other = subjects.slice(0, index).find((earlier) => isOverlapping(earlier, subject));
    return other === undefined
      ? []
      : [{ path: [...path, "consumer", "subjects", index], message: `"${subject}" overlaps "${other}"` }];
  });
  return [
    ...overlaps,
    ...checkStartTime(endpoint?.consumer?.deliverPolicy, [...path, "consumer", "deliverPolicy"]),
  ];
}

/** The schema checks the form of a time, but accepts the 31st of February. */
export function checkStartTime(policy: unknown, path: Path): Fault[] {
  if (typeof policy !== "object" || policy === null || !("startTime" in policy)) return [];
  return checkTime(policy.startTime, [...path, "startTime"]);
}

export function checkTime(time: unknown, path: Path): Fault[] {
  if (typeof time !== "string" || isOnCalendar(time)) return [];
  return [{ path, message: "this time does not exist" }];
}

function checkGroup(file: SoundFile, index: number): Fault[] {
  const members = file.endpointGroups?.[index]?.endpoints ?? [];
  const known = endpointNames(file);
  const seen = new Set<string>();
  return members.flatMap((member, place) => {
    if (member === undefined) return [];
    const path = ["endpointGroups", index, "endpoints", place];
    if (seen.has(member)) return [{ path, message: `"${member}" is listed twice in this group` }];
    seen.add(member);
    if (known === null || known.includes(member)) return [];
    return [{ path, ...unknownName("endpoint", member, known) }];
  });
}

/** null: some endpoint has no valid name, so a name that is not listed may still exist. */
export function endpointNames(file: SoundFile): readonly string[] | null {
  const names = file.endpoints?.map((endpoint) => endpoint?.name) ?? [undefined];
  const known = names.filter((name) => name !== undefined);
  return known.length === names.length ? known : null;
}
