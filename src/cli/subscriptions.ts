// `relay subscriptions`: its commands with their options and their help.

import { RelayError } from "#lib/errors.ts";
import { type Flags, JSON_OPTION, type RemoteCommand, type RemoteOption, textOf } from "./remote-command.ts";
import { RESEND_COMMAND } from "./resend.ts";
import { checkSeek, toSeek } from "./seek.ts";
import {
  commandEither,
  commandSubscription,
  deleteSubscription,
  showList,
  showSubscription,
  testSubscription,
} from "./subscription-actions.ts";

const NOTHING = (): void => undefined;
const APPLICATION: RemoteOption = {
  flags: "--application <name>",
  description: "all subscriptions of this application, future ones included, instead of one",
};

export const SUBSCRIPTION_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "list",
    description: "list the subscriptions of the relay",
    options: [JSON_OPTION],
    examples: ["relay subscriptions list", "relay subscriptions list --json"],
    note: [
      "Orphans are consumers that belong to no subscription of this relay and that nobody pulls from.",
      "A consumer that another relay has paused is among them: check before you delete one.",
    ].join("\n"),
    check: NOTHING,
    run: showList,
  },
  {
    usage: "show <id>",
    description: "show one subscription with its definition",
    options: [JSON_OPTION],
    examples: ["relay subscriptions show billing"],
    note: null,
    check: NOTHING,
    run: showSubscription,
  },
  {
    usage: "pause [id]",
    description: "pause a subscription, as its operator; no message is lost",
    options: [APPLICATION, JSON_OPTION],
    examples: ["relay subscriptions pause billing", "relay subscriptions pause --application shop"],
    note: null,
    check: checkTarget,
    run: (call) => commandEither(call, "pause"),
  },
  {
    usage: "resume [id]",
    description: "resume after a pause or a failure",
    options: [
      {
        flags: "--skip",
        description: "acknowledge the message that caused the failure, do not send it again",
      },
      APPLICATION,
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions resume billing",
      "relay subscriptions resume billing --skip",
      "relay subscriptions resume --application shop",
    ],
    note: "With --application, what was paused by itself stays paused.",
    check: checkTarget,
    run: (call) => commandEither(call, "resume", { skip: call.flags["skip"] === true }),
  },
  {
    usage: "stop <id>",
    description: "stop a subscription, as its consumer",
    options: [JSON_OPTION],
    examples: ["relay subscriptions stop billing"],
    note: null,
    check: NOTHING,
    run: (call) => commandSubscription(call, "stop"),
  },
  {
    usage: "start <id>",
    description: "start again after a stop or a failure",
    options: [JSON_OPTION],
    examples: ["relay subscriptions start billing"],
    note: null,
    check: NOTHING,
    run: (call) => commandSubscription(call, "start"),
  },
  {
    usage: "test <id>",
    description: "send a test message to the callback, and show request and response",
    options: [
      { flags: "--body <file>", description: "send the content of this file; - for standard input" },
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions test billing",
      "echo '{\"order\":1}' | relay subscriptions test billing --body -",
    ],
    note: [
      "The request is that of a delivery, with the header X-Relay-Test added. The stream is not touched.",
      "Exit code: 0 if the callback accepted it, 1 if it did not.",
    ].join("\n"),
    check: NOTHING,
    run: testSubscription,
  },
  {
    usage: "seek <id>",
    description: "move to another position in the stream",
    options: [
      {
        flags: "--to <where>",
        description:
          "all (from the first message), new (messages from now on) or last (from the last message)",
      },
      { flags: "--sequence <number>", description: "from this message of the stream" },
      {
        flags: "--time <time>",
        description: "from the first message stored at this time or later, such as 2026-11-21T08:00:00Z",
      },
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions seek billing --to new",
      "relay subscriptions seek billing --sequence 4711",
      "relay subscriptions seek billing --time 2026-11-21T08:00:00Z",
    ],
    note: "Going back sends messages again; going forward leaves some out.",
    check: checkSeek,
    run: (call) => commandSubscription(call, "seek", toSeek(call.flags)),
  },
  RESEND_COMMAND,
  {
    usage: "delete <id>",
    description: "delete a subscription that was made by API, with its consumer",
    options: [{ flags: "--yes", description: "do not ask for confirmation" }],
    examples: ["relay subscriptions delete billing", "relay subscriptions delete billing --yes"],
    note: "Delete subscriptions of the config file in the file. Without a terminal it needs --yes.",
    check: NOTHING,
    run: deleteSubscription,
  },
];

function checkTarget(flags: Flags, [id]: readonly string[]): void {
  const isOne = id !== undefined;
  if (isOne === (textOf(flags, "application") !== null))
    throw new RelayError("usage", "Give either an id or --application");
  if (!isOne && flags["skip"] === true) throw new RelayError("usage", "--skip is for one subscription");
}
