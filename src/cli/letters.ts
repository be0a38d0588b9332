// `relay dlq`: dead letters listed, counted, shown, purged and replayed.

import { checkLetterShow, showLetter } from "./letter-details.ts";
import { LETTER_FILTER_OPTIONS } from "./letter-filter.ts";
import { checkLetterList, countLetters, listLetters } from "./letter-list.ts";
import { purgeLetters, toLetterChoice } from "./letter-purge.ts";
import { checkReplay, REPLAY_OPTIONS, replayLetters } from "./letter-replay.ts";
import { MOMENT_NOTE } from "./moment.ts";
import { JSON_OPTION, type RemoteCommand } from "./remote-command.ts";

const EVERY_ONE = { flags: "--all", description: "all that there are" };

export const LETTER_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "list",
    description: "list dead letters, newest first",
    options: [
      ...LETTER_FILTER_OPTIONS,
      { flags: "--limit <number>", description: "at most so many, 1 to 1000 (default: 100)" },
      { flags: "--cursor <cursor>", description: "go on where the list before ended" },
      EVERY_ONE,
      JSON_OPTION,
    ],
    examples: [
      "relay dlq list --subscription billing --from 2h",
      "relay dlq list --reason rejected --status 4xx --error 'unknown customer'",
      "relay dlq list --all --json",
    ],
    note: MOMENT_NOTE,
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
    description: "show one with its headers and its payload",
    options: [
      { flags: "--hex", description: "show the payload as bytes" },
      { flags: "--raw", description: "write the payload as it is, and nothing else, to a pipe" },
      { flags: "--output <file>", description: "write the payload as it is to this file" },
      JSON_OPTION,
    ],
    examples: [
      "relay dlq show billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq show billing.ORDERS.4711-3g5kz0q1v7p9 --raw | jq .",
    ],
    note: "What is shown is masked and cut at 64 KiB; --raw and --output give all of it, as it came.",
    check: checkLetterShow,
    run: showLetter,
  },
  {
    usage: "purge [ids...]",
    description: "take dead letters out for good",
    options: [
      ...LETTER_FILTER_OPTIONS,
      EVERY_ONE,
      { flags: "--dry-run", description: "say how many would go" },
      { flags: "--yes", description: "do not ask" },
      JSON_OPTION,
    ],
    examples: [
      "relay dlq purge billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq purge --subscription billing --to 30d --dry-run",
      "relay dlq purge --subscription billing --to 30d --yes",
    ],
    note: [
      MOMENT_NOTE,
      "It asks first, and needs --yes without a terminal. What comes after it has counted stays. By filter",
      "only what Relay wrote goes; other entries are named by their id.",
    ].join("\n"),
    check: (flags, args) => void toLetterChoice(flags, { args, nowMs: Date.now() }),
    run: purgeLetters,
  },
  {
    usage: "replay [ids...]",
    description: "give dead letters to their callbacks again",
    options: [...LETTER_FILTER_OPTIONS, EVERY_ONE, ...REPLAY_OPTIONS, JSON_OPTION],
    examples: [
      "relay dlq replay billing.ORDERS.4711-3g5kz0q1v7p9",
      "relay dlq replay --subscription billing --reason exception --from 2h",
      "relay dlq replay --all --rate 50 --detach",
    ],
    note: [
      MOMENT_NOTE,
      "It runs in the relay and is followed until its end: on a terminal by a bar, else and with --json by a",
      "line of JSON for each step. Ctrl-C leaves it running. They come out of order with live messages.",
      "Exit code: 0 if all were delivered, 1 if something stays.",
    ].join("\n"),
    check: checkReplay,
    run: replayLetters,
  },
];
