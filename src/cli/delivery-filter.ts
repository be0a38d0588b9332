// The filter options of `relay logs`.

import { statusFlag } from "./letter-filter.ts";
import { timeArgument } from "./time-argument.ts";
import { type Flags, type RemoteOption, textOf } from "./remote-command.ts";

export const DELIVERY_FILTER_OPTIONS: readonly RemoteOption[] = [
  { flags: "--status <status>", description: "status of the last attempt: 404, 4xx, or 0 for no response" },
  { flags: "--subscription <id>", description: "of this subscription" },
  { flags: "--application <name>", description: "of this application" },
  { flags: "--entrypoint <id>", description: "of this entrypoint" },
  { flags: "--callback-url <url>", description: "with this text in the callback URL" },
  { flags: "--from <time>", description: "first attempted at this time or later" },
  { flags: "--to <time>", description: "first attempted before this time" },
];

/** The query for the API, without filters that were not given. Throws a RelayError `usage`. */
export function toDeliveryFilterMembers(flags: Flags, nowMs: number): Readonly<Record<string, string>> {
  const members = [
    ...["subscription", "application", "entrypoint", "callbackUrl"].map(
      (name) => [name, textOf(flags, name)] as const,
    ),
    ["status", statusFlag(flags)] as const,
    ["from", timeArgument(flags, { name: "from", nowMs })] as const,
    ["to", timeArgument(flags, { name: "to", nowMs })] as const,
  ];
  return Object.fromEntries(members.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}
