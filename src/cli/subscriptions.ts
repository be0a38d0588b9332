// `relay subscriptions`: listed, shown, commanded, tested, moved and deleted.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { applicationSchema, exchangeSchema, subscriptionViewSchema } from "#wire/subscription.ts";
import { parseAnswer } from "./answers.ts";
import { type Asking, expectDone, PATIENT_MS } from "./client.ts";
import { formatExchange } from "./exchange.ts";
import {
  type Flags,
  JSON_OPTION,
  type RemoteCall,
  type RemoteCommand,
  type RemoteOption,
  textOf,
} from "./remote-command.ts";
import { checkSeek, describeSeek, toSeek } from "./seek.ts";
import { formatSubscription } from "./subscription-details.ts";
import { formatOrphans, formatSubscriptions, listOrphans, listSubscriptions } from "./subscription-list.ts";

const NOTHING = (): void => undefined;
const APPLICATION: RemoteOption = {
  flags: "--application <name>",
  description: "instead of one, all of this application, those that it makes meanwhile included",
};

export const SUBSCRIPTION_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "list",
    description: "list the subscriptions of the relay",
    options: [JSON_OPTION],
    examples: ["relay subscriptions list", "relay subscriptions list --json"],
    note: [
      "Orphans are consumers on the server that no subscription of this relay has, and nobody pulls from.",
      "One that another relay holds back, paused for example, is among them: look before you delete one.",
    ].join("\n"),
    check: NOTHING,
    run: list,
  },
  {
    usage: "show <id>",
    description: "show one at length, with its definition",
    options: [JSON_OPTION],
    examples: ["relay subscriptions show billing"],
    note: null,
    check: NOTHING,
    run: show,
  },
  {
    usage: "pause [id]",
    description: "stop pushing, for operators; nothing is lost",
    options: [APPLICATION, JSON_OPTION],
    examples: ["relay subscriptions pause billing", "relay subscriptions pause --application shop"],
    note: null,
    check: checkTarget,
    run: (call) => commandEither(call, "pause"),
  },
  {
    usage: "resume [id]",
    description: "go on after a pause or a failure",
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
    description: "stop consuming, for consumers",
    options: [JSON_OPTION],
    examples: ["relay subscriptions stop billing"],
    note: null,
    check: NOTHING,
    run: (call) => command(call, "stop"),
  },
  {
    usage: "start <id>",
    description: "go on after a stop or a failure",
    options: [JSON_OPTION],
    examples: ["relay subscriptions start billing"],
    note: null,
    check: NOTHING,
    run: (call) => command(call, "start"),
  },
  {
    usage: "test <id>",
    description: "send a sample to the callback, and show the exchange",
    options: [
      { flags: "--body <file>", description: "what to send instead of a sample, - for standard input" },
      JSON_OPTION,
    ],
    examples: [
      "relay subscriptions test billing",
      "echo '{\"order\":1}' | relay subscriptions test billing --body -",
    ],
    note: [
      "It carries all that a delivery does, and the header X-Relay-Test. The stream is not touched.",
      "Exit code: 0 if the callback accepted it, 1 if it did not.",
    ].join("\n"),
    check: NOTHING,
    run: test,
  },
  {
    usage: "seek <id>",
    description: "move it to another place of the stream",
    options: [
      {
        flags: "--to <where>",
        description: "all (the first message there is), new (what comes from now on) or last",
      },
      { flags: "--sequence <number>", description: "this message of the stream" },
      {
        flags: "--time <time>",
        description: "the first message stored then or later, such as 2026-11-21T08:00:00Z",
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
    run: (call) => command(call, "seek", toSeek(call.flags)),
  },
  {
    usage: "delete <id>",
    description: "delete one that was made by API, with its consumer",
    options: [{ flags: "--yes", description: "do not ask" }],
    examples: ["relay subscriptions delete billing", "relay subscriptions delete billing --yes"],
    note: "Those of the config file are deleted there. Without a terminal it needs --yes.",
    check: NOTHING,
    run: remove,
  },
];

async function list({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const subscriptions = await listSubscriptions(client);
  const orphans = await listOrphans(client);
  if (flags["json"] === true) {
    io.stdout(toSafeJson({ items: subscriptions, next: null, orphans }));
    return 0;
  }
  io.stdout(formatSubscriptions(subscriptions, { screen, nowMs }));
  if (orphans.length > 0) io.stdout(`\n${formatOrphans(orphans, screen)}`);
  return 0;
}

async function show(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, nowMs } = call;
  const value = expectDone(await client.ask("GET", pathOf(call)), `show ${idOf(call)}`);
  const subscription = parseAnswer(subscriptionViewSchema, value);
  const { definition } = value as { readonly definition?: unknown };
  if (flags["json"] === true) io.stdout(toSafeJson(value));
  else io.stdout(formatSubscription(subscription, { definition, screen, nowMs }));
  return 0;
}

function checkTarget(flags: Flags, [id]: readonly string[]): void {
  const isOne = id !== undefined;
  if (isOne === (textOf(flags, "application") !== null))
    throw new RelayError("usage", "Give either an id or --application");
  if (!isOne && flags["skip"] === true) throw new RelayError("usage", "--skip is for one subscription");
}

async function commandEither(call: RemoteCall, verb: "pause" | "resume", body?: object): Promise<number> {
  const { client, flags, io } = call;
  const name = textOf(flags, "application");
  if (name === null) return command(call, verb, body);
  const answer = await client.ask("POST", `api/applications/${encodeURIComponent(name)}/${verb}`);
  const value = expectDone(answer, `${verb} the application ${clean(name)}`);
  const { application, status, subscriptions, notStored } = parseAnswer(applicationSchema, value);
  if (flags["json"] === true) {
    io.stdout(toSafeJson(value));
    return 0;
  }
  const plural = subscriptions === 1 ? "" : "s";
  io.stdout(`${clean(`Application ${application}: ${status}, ${subscriptions} subscription${plural}`)}\n`);
  showNotStored(notStored, io);
  return 0;
}

function showNotStored(notStored: string | null, io: RemoteCall["io"]): void {
  if (notStored !== null)
    io.stdout(`${clean(`Not stored yet, it counts on this relay only: ${notStored}`)}\n`);
}

async function command(call: RemoteCall, verb: string, body?: object): Promise<number> {
  const { client, flags, io } = call;
  const asking: Asking = body === undefined ? {} : { body };
  const answer = await client.ask("POST", pathOf(call, verb), asking);
  const value = expectDone(answer, `${verb} ${idOf(call)}`);
  const { id, status, consumerStatus, notStored } = parseAnswer(subscriptionViewSchema, value);
  if (flags["json"] === true) {
    io.stdout(toSafeJson(value));
    return 0;
  }
  const moved = verb === "seek" ? `, goes on ${describeSeek(flags)}` : "";
  io.stdout(`${clean(`${id}: ${status}, consumer ${consumerStatus}${moved}`)}\n`);
  showNotStored(notStored, io);
  return 0;
}

async function test(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, readInput } = call;
  const file = textOf(flags, "body");
  const body = file === null ? null : await readInput(file);
  // A relay that hangs says nothing to this either; a callback may take its time.
  expectDone(await client.ask("GET", pathOf(call)), `test ${idOf(call)}`);
  const sample: Asking = body === null || body.length === 0 ? {} : { body };
  const answer = await client.ask("POST", pathOf(call, "test"), { ...sample, limitMs: PATIENT_MS });
  const value = expectDone(answer, `test ${idOf(call)}`);
  const exchange = parseAnswer(exchangeSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatExchange(exchange, screen));
  return exchange.outcome === "delivered" ? 0 : 1;
}

async function remove(call: RemoteCall): Promise<number> {
  const { client, flags, io, confirm } = call;
  const value = expectDone(await client.ask("GET", pathOf(call)), `delete ${idOf(call)}`);
  const { id, source, origin } = parseAnswer(subscriptionViewSchema, value);
  if (origin === "file") {
    throw new RelayError(
      "unavailable",
      `Cannot delete ${clean(id)}: it stands in the config file, and is deleted there`,
    );
  }
  if (flags["yes"] !== true) {
    if (confirm === null)
      throw new RelayError("usage", `Nobody can be asked here: --yes deletes ${idOf(call)}`);
    const question = `Delete ${clean(id)} and its consumer ${clean(source.consumer)}? [y/N] `;
    if (!(await confirm(question))) {
      io.stdout("Nothing is deleted\n");
      return 1;
    }
  }
  const answer = await client.ask("DELETE", pathOf(call), { limitMs: PATIENT_MS });
  expectDone(answer, `delete ${idOf(call)}`);
  io.stdout(`${clean(id)} is deleted\n`);
  return 0;
}

function pathOf(call: RemoteCall, verb?: string): string {
  const id = call.args[0] ?? "";
  if (!/^[\w-]{1,128}$/u.test(id)) throw new RelayError("usage", "An id has letters, digits, - and _ only");
  const path = `api/subscriptions/${id}`;
  return verb === undefined ? path : `${path}/${verb}`;
}

function idOf({ args }: RemoteCall): string {
  return clean(args[0] ?? "");
}
