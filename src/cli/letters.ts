// `relay dlq`: its commands with their options and their help.

import { checkLetterShow, printLetter } from "./letter-details.ts";
import { LETTER_FILTER_OPTIONS } from "./letter-filter.ts";
import { checkLetterList, countLetters, listLetters } from "./letter-list.ts";
import { runPurge, toLetterChoice } from "./letter-purge.ts";
import { checkReplay, REPLAY_OPTIONS, replayLetters } from "./letter-replay.ts";
import { TIME_ARGUMENT_NOTE } from "./time-argument.ts";
import { JSON_OPTION, type RemoteCommand } from "./remote-command.ts";

const EVERY_ONE = { flags: "--all", description: "all dead letters" };

export const LETTER_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "list",
    description: "list dead letters, newest first",
    options: [
      ...LETTER_FILTER_OPTIONS,
      { flags: "--limit <number>", description: "at most this many, 1 to 1000 (default: 100)" },
      { flags: "--cursor <cursor>", description: "continue where the list before ended" },
      EVERY_ONE,
      JSON_OPTION,
    ],
    examples: [
      "relay dlq list --subscription billing --from 2h",
      "relay dlq list --reason rejected --status 4xx --error 'unknown customer'",
      "relay dlq list --all --json",
    ],
    note: TIME_ARGUMENT_NOTE,
    check: checkLetterList,
    run: listLetters,
  },
  {
    usage: "counts",
    description: "count dead letters, by reason and by subscription",
    options: [JSON_OPTION],
    examples: ["relay dlq counts"],
    note: null,
    check: () => undefined,
    run: countLetters,
  },
  {
    usage: "show <id>",
    description: "show one dead letter with its headers and its payload",
    options: [
      { flags: "--hex", description: "show the payload as a hex dump" },
      { flags: "--raw", description: "write only the payload, unchanged, to a pipe" },
      { flags: "--output <file>", description: "write the payload, unchanged, to this file" },
      JSON_OPTION,
    ],
    examples: [
      "relay dlq show billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq show billing.ORDERS.4711-3g5kz0q1v7p9 --raw | jq .",
    ],
    note: "The payload is masked and cut at 64 KiB; --raw and --output give all of it, unmasked.",
    check: checkLetterShow,
    run: printLetter,
  },
  {
    usage: "purge [ids...]",
    description: "delete dead letters for good",
    options: [
      ...LETTER_FILTER_OPTIONS,
      EVERY_ONE,
      { flags: "--dry-run", description: "print how many would be purged" },
      { flags: "--yes", description: "do not ask for confirmation" },
      JSON_OPTION,
    ],
    examples: [
      "relay dlq purge billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq purge --subscription billing --to 30d --dry-run",
      "relay dlq purge --subscription billing --to 30d --yes",
    ],
    note: [
      TIME_ARGUMENT_NOTE,
      "It asks for confirmation, and needs --yes without a terminal. Letters that arrive after the count stay.",
      "A filter matches only letters that Relay wrote: name other entries by their id.",
    ].join("\n"),
    check: (flags, args) => void toLetterChoice(flags, { args, nowMs: Date.now() }),
    run: runPurge,
  },
  {
    usage: "replay [ids...]",
    description: "send dead letters to their callbacks again",
    options: [...LETTER_FILTER_OPTIONS, EVERY_ONE, ...REPLAY_OPTIONS, JSON_OPTION],
    examples: [
      "relay dlq replay billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq replay --subscription billing --reason exception --from 2h",
      "relay dlq replay --all --rate 50 --detach",
    ],
    note: [
      TIME_ARGUMENT_NOTE,
      "The relay runs the replay; Ctrl-C leaves it running. The command shows the progress: a bar on a terminal,",
      "else, or with --json, a line of JSON for each step. Replayed messages arrive out of order with live ones.",
    ].join("\n"),
    check: checkReplay,
    run: replayLetters,
  },
];
