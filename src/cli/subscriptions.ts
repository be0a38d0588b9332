// `relay subscriptions`: its commands with their options and their help.

import { YES_OPTION } from "./confirm.ts";
import { checkDryRunFlags, DRY_RUN_OPTIONS } from "./dry-run.ts";
import { JSON_OPTION, type RemoteCommand, type RemoteOption, textOf } from "./remote-command.ts";
import { RESEND_COMMAND } from "./resend.ts";
import { resumeKey, showParked } from "./parked-keys.ts";
import { SEEK_OPTIONS, seekSubscription, toSeek } from "./seek.ts";
import { checkTarget, commandSubscriptions, TARGET_OPTIONS, type Verb } from "./subscription-commands.ts";
import { deleteSubscription, showList, showSubscription, testSubscription } from "./subscription-actions.ts";
import { TIME_ARGUMENT_NOTE } from "./time-argument.ts";

const NOTHING = (): void => undefined;
const SKIP_OPTION: RemoteOption = {
  flags: "--skip",
  description: "acknowledge the message that caused the failure instead of sending it again",
};
const KEY_OPTION: RemoteOption = {
  flags: "--key <key>",
  description: "only this parked key; an empty one for messages without a key",
};
const VERBS: Readonly<Record<Verb, string>> = {
  pause: "pause subscriptions, as their operator; their messages wait in the stream",
  resume: "resume after a pause or a failure",
  stop: "stop subscriptions, as their consumer; their messages wait in the stream",
  start: "start again after a stop or a failure",
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
  ...(["pause", "resume", "stop", "start"] as const).map((verb): RemoteCommand => ({
    usage: `${verb} [ids...]`,
    description: VERBS[verb],
    options: [
      ...(verb === "resume" ? [SKIP_OPTION, KEY_OPTION] : []),
      ...TARGET_OPTIONS,
      YES_OPTION,
      JSON_OPTION,
    ],
    examples: [
      `relay subscriptions ${verb} billing shipping`,
      ...(verb === "resume"
        ? ["relay subscriptions resume billing --skip", "relay subscriptions resume billing --key eu.4711"]
        : []),
      `relay subscriptions ${verb} --entrypoint webhook --dry-run`,
      `relay subscriptions ${verb} --all --yes`,
    ],
    note: [
      "With --entrypoint, --application or --all, Relay counts the subscriptions and asks for confirmation;\nwithout a terminal it needs --yes.",
      ...(verb === "resume"
        ? ["With --application, subscriptions that were paused one by one stay paused."]
        : []),
    ].join("\n"),
    check: checkTarget,
    run(call) {
      const key = textOf(call.flags, "key");
      if (key === null) return commandSubscriptions(call, verb);
      return resumeKey(call, { key, skip: call.flags["skip"] === true });
    },
  })),
  {
    usage: "parked <id>",
    description: "list the parked keys of an ordered subscription, with their causes",
    options: [JSON_OPTION],
    examples: ["relay subscriptions parked billing"],
    note: "Keys are parked where ordering.onFailure is key: the other keys go on.",
    check: NOTHING,
    run: showParked,
  },
  {
    usage: "test <id>",
    description: "send a test message to the callback, and show request and response",
    options: [
      { flags: "--body <file>", description: "send the content of this file; - for standard input" },
      ...DRY_RUN_OPTIONS,
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions test billing",
      "echo '{\"order\":1}' | relay subscriptions test billing --body -",
      "relay subscriptions test billing --dry-run --sequence 42",
    ],
    note: [
      "The request is that of a delivery, with the header X-Relay-Test added. The subscription keeps its position.",
      "With --dry-run Relay applies filter, transform and format, shows the request, and sends nothing.",
    ].join("\n"),
    check: checkDryRunFlags,
    run: testSubscription,
  },
  {
    usage: "seek <id>",
    description: "move a subscription to another position in the stream",
    options: [
      ...SEEK_OPTIONS,
      { flags: "--dry-run", description: "print the position and the effect, move nothing" },
      YES_OPTION,
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions seek billing --to all --dry-run",
      "relay subscriptions seek billing --to new --yes",
      "relay subscriptions seek billing --sequence 4711",
      "relay subscriptions seek billing --time 2h",
    ],
    note: [
      TIME_ARGUMENT_NOTE,
      "Going back sends messages again; going forward leaves some out. Relay shows the position and the effect,",
      "and asks for confirmation; without a terminal it needs --yes.",
    ].join("\n"),
    check: (flags) => void toSeek(flags, Date.now()),
    run: seekSubscription,
  },
  RESEND_COMMAND,
  {
    usage: "delete <id>",
    description: "delete a subscription that was made by API, with its consumer",
    options: [YES_OPTION],
    examples: ["relay subscriptions delete billing", "relay subscriptions delete billing --yes"],
    note: "To delete a subscription of the config file, edit the file. Without a terminal it needs --yes.",
    check: NOTHING,
    run: deleteSubscription,
  },
];
