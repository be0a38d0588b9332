// `relay logs`: what the delivery log holds, listed, followed, shown and exported.

import { checkDeliveryShow, showDelivery } from "./delivery-details.ts";
import { DELIVERY_FILTER_OPTIONS } from "./delivery-filter.ts";
import { checkDeliveryList, checkExport, exportDeliveries, listDeliveries } from "./delivery-list.ts";
import { MOMENT_NOTE } from "./moment.ts";
import { JSON_OPTION, type RemoteCommand } from "./remote-command.ts";

export const LOGS_COMMAND: RemoteCommand = {
  usage: "logs",
  description: "show what was delivered, and what was not",
  options: [
    { flags: "-f, --follow", description: "go on with what comes, until Ctrl-C" },
    ...DELIVERY_FILTER_OPTIONS,
    { flags: "--limit <number>", description: "at most so many, 1 to 1000 (default: 100; 10 with --follow)" },
    { flags: "--cursor <cursor>", description: "go on where the list before ended" },
    { flags: "--json", description: "print the API's JSON; with --follow one line for each" },
  ],
  examples: [
    "relay logs --subscription billing --from 2h",
    "relay logs --follow --status 5xx",
    "relay logs show 4711",
  ],
  note: `${MOMENT_NOTE}\nThe newest comes last. Which messages are recorded is the entrypoint's sampling; failures always are.`,
  check: checkDeliveryList,
  run: listDeliveries,
};

/** Below `relay logs`. */
export const DELIVERY_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "show <id>",
    description: "show one with its attempts, and what was recorded of its exchange",
    options: [JSON_OPTION],
    examples: ["relay logs show 4711"],
    note: "Headers and payloads are there where the entrypoint's logging asks for them.",
    check: checkDeliveryShow,
    run: showDelivery,
  },
  {
    usage: "export",
    description: "write many to a file or a pipe",
    options: [
      ...DELIVERY_FILTER_OPTIONS,
      { flags: "--format <format>", description: "jsonl (default) or csv" },
      { flags: "--output <file>", description: "to this file; default: standard output" },
    ],
    examples: [
      "relay logs export --from 1d --format csv --output deliveries.csv",
      "relay logs export --status 0 | jq .error",
    ],
    note: MOMENT_NOTE,
    check: checkExport,
    run: exportDeliveries,
  },
];
