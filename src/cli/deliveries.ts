// `relay logs`: its commands with their options and their help.

import { checkDeliveryShow, printDelivery } from "./delivery-details.ts";
import { DELIVERY_FILTER_OPTIONS } from "./delivery-filter.ts";
import { checkDeliveryList, checkExport, exportDeliveries, listDeliveries } from "./delivery-list.ts";
import { TIME_ARGUMENT_NOTE } from "./time-argument.ts";
import { JSON_OPTION, type RemoteCommand } from "./remote-command.ts";

export const LOGS_COMMAND: RemoteCommand = {
  usage: "logs",
  description: "show the delivery log",
  options: [
    { flags: "-f, --follow", description: "print new ones as they are recorded, until Ctrl-C" },
    ...DELIVERY_FILTER_OPTIONS,
    {
      flags: "--limit <number>",
      description: "at most this many, 1 to 1000 (default: 100; 10 with --follow)",
    },
    { flags: "--cursor <cursor>", description: "continue where the list before ended" },
    { flags: "--json", description: "print the JSON of the API; with --follow one line for each" },
  ],
  examples: [
    "relay logs --subscription billing --from 2h",
    "relay logs --follow --status 5xx",
    "relay logs show 4711",
  ],
  note: `${TIME_ARGUMENT_NOTE}\nThe newest comes last. The entrypoint's sampling decides which messages are recorded; failures always are.`,
  check: checkDeliveryList,
  run: listDeliveries,
};

/** Below `relay logs`. */
export const DELIVERY_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "show <id>",
    description: "show one delivery with its attempts, request and response",
    options: [JSON_OPTION],
    examples: ["relay logs show 4711"],
    note: "Headers and payloads are shown if the entrypoint's logging records them.",
    check: checkDeliveryShow,
    run: printDelivery,
  },
  {
    usage: "export",
    description: "write all that match to a file or a pipe",
    options: [
      ...DELIVERY_FILTER_OPTIONS,
      { flags: "--format <format>", description: "jsonl (default) or csv" },
      { flags: "--output <file>", description: "write to this file (default: standard output)" },
    ],
    examples: [
      "relay logs export --from 1d --format csv --output deliveries.csv",
      "relay logs export --status 0 | jq .error",
    ],
    note: TIME_ARGUMENT_NOTE,
    check: checkExport,
    run: exportDeliveries,
  },
];
