// Which deliveries a command means.

import { statusOf } from "./letter-filter.ts";
import { momentOf } from "./moment.ts";
import { type Flags, type RemoteOption, textOf } from "./remote-command.ts";

export const DELIVERY_FILTER_OPTIONS: readonly RemoteOption[] = [
  { flags: "--status <status>", description: "status of the last attempt: 404, 4xx, or 0 for none" },
  { flags: "--subscription <id>", description: "of this subscription" },
  { flags: "--application <name>", description: "of this application" },
  { flags: "--entrypoint <id>", description: "of this entrypoint" },
  { flags: "--callback-url <url>", description: "to this callback, or with this in its URL" },
  { flags: "--from <time>", description: "begun then or later" },
  { flags: "--to <time>", description: "begun before" },
];

/** As the API takes it; what is not there is not asked for. Throws a RelayError `usage`. */
export function toDeliveryFilterMembers(flags: Flags, nowMs: number): Readonly<Record<string, string>> {
  const members = [
    ...["subscription", "application", "entrypoint", "callbackUrl"].map(
      (name) => [name, textOf(flags, name)] as const,
    ),
    ["status", statusOf(flags)] as const,
    ["from", momentOf(flags, { name: "from", nowMs })] as const,
    ["to", momentOf(flags, { name: "to", nowMs })] as const,
  ];
  return Object.fromEntries(members.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}
