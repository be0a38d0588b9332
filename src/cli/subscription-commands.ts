// `relay subscriptions pause|resume|stop|start`: commands one, several, or all that an option chooses.

import { messageOf, RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { applicationSchema, type SubscriptionView, subscriptionViewSchema } from "#wire/subscription.ts";
import { parseAnswer } from "./answers.ts";
import { type Client, expectDone } from "./client.ts";
import { confirmed } from "./confirm.ts";
import { type Flags, type RemoteCall, type RemoteOption, textOf } from "./remote-command.ts";
import { listSubscriptions } from "./subscription-list.ts";
import { subscriptionPath } from "./subscription-path.ts";

export type Verb = "pause" | "resume" | "stop" | "start";

export const TARGET_OPTIONS: readonly RemoteOption[] = [
  { flags: "--entrypoint <id>", description: "all subscriptions of this entrypoint" },
  {
    flags: "--application <name>",
    description: "all subscriptions of this application; pause and resume include future ones",
  },
  { flags: "--all", description: "all subscriptions" },
  { flags: "--dry-run", description: "list the subscriptions, change nothing" },
];

const MAX_IDS = 1000;

const DONE: Readonly<Record<Verb, string>> = {
  pause: "paused",
  resume: "resumed",
  stop: "stopped",
  start: "started",
};

/** Whether the command changes it. */
const CHANGES: Readonly<Record<Verb, (subscription: SubscriptionView) => boolean>> = {
  pause: ({ status }) => status === "ACCEPTED",
  resume: ({ status, consumerStatus }) => status === "PAUSED" || consumerStatus === "FAILURE",
  stop: ({ status, consumerStatus }) => status !== "CLOSED" && consumerStatus !== "STOPPED",
  start: ({ consumerStatus }) => consumerStatus !== "STARTED",
};

type Target =
  | { readonly kind: "ids"; readonly ids: readonly string[] }
  | {
      readonly kind: "filter";
      /** For people: "of entrypoint webhook". */
      readonly name: string;
      readonly has: (subscription: SubscriptionView) => boolean;
    };

/** Throws a RelayError `usage`. */
export function checkTarget(flags: Flags, args: readonly string[]): void {
  const target = toTarget(flags, args);
  const isOne = target.kind === "ids" && target.ids.length === 1;
  if (flags["skip"] === true && !isOne) throw new RelayError("usage", "--skip is for one subscription");
  if (textOf(flags, "key") !== null && !isOne) throw new RelayError("usage", "--key is for one subscription");
}

function toTarget(flags: Flags, args: readonly string[]): Target {
  const entrypoint = textOf(flags, "entrypoint");
  const application = textOf(flags, "application");
  const ways = [args.length > 0, entrypoint !== null, application !== null, flags["all"] === true];
  if (ways.filter(Boolean).length !== 1)
    throw new RelayError("usage", "Give ids, or one of --entrypoint, --application and --all");
  if (entrypoint !== null)
    return {
      kind: "filter",
      name: `of entrypoint ${entrypoint}`,
      has: (own) => own.entrypoint === entrypoint,
    };
  if (application !== null)
    return {
      kind: "filter",
      name: `of application ${application}`,
      has: (own) => own.application === application,
    };
  if (flags["all"] === true) return { kind: "filter", name: "of this relay", has: () => true };
  if (args.length > MAX_IDS) throw new RelayError("usage", `At most ${MAX_IDS} ids can be named`);
  for (const id of args) subscriptionPath(id);
  return { kind: "ids", ids: [...new Set(args)] };
}

/** Exits with 1 if one of them was refused, or nobody confirmed. */
export async function commandSubscriptions(call: RemoteCall, verb: Verb): Promise<number> {
  const { args, flags, io } = call;
  const target = toTarget(flags, args);
  if (target.kind === "ids" && flags["dryRun"] !== true) return commandEach(call, { verb, ids: target.ids });
  const chosen = await choose(call.client, target);
  const wanted = chosen.filter(CHANGES[verb]);
  const idle = chosen.length - wanted.length;
  const already = idle === 0 ? "" : `; ${idle} ${idle === 1 ? "needs" : "need"} no change`;
  const name = target.kind === "ids" ? "" : ` ${target.name}`;
  const what = `${verb} ${countOf(wanted.length)}${name}`;
  if (flags["dryRun"] === true) {
    const lines = wanted.map(({ id }) => `${clean(id)}\n`).join("");
    if (flags["json"] === true) io.stdout(toJsonList(wanted));
    else io.stdout(`${lines}Would ${clean(what)}${already}\n`);
    return 0;
  }
  const isHold = isApplicationHold(flags, verb);
  if (wanted.length === 0 && !isHold) {
    if (flags["json"] === true) io.stdout(toJsonList([]));
    else io.stdout(`Nothing to ${verb}${clean(name)}${already}\n`);
    return 0;
  }
  const question = `${verb.charAt(0).toUpperCase()}${what.slice(1)}${already}?`;
  if (!(await confirmed(call, { what, question }))) {
    io.stdout("Nothing was changed\n");
    return 1;
  }
  if (isHold)
    return commandApplication(call, { verb, has: target.kind === "filter" ? target.has : () => false });
  return commandEach(call, { verb, ids: wanted.map(({ id }) => id) });
}

async function choose(client: Client, target: Target): Promise<readonly SubscriptionView[]> {
  const all = await listSubscriptions(client);
  if (target.kind === "filter") return all.filter(target.has);
  const missing = target.ids.find((id) => !all.some((own) => own.id === id));
  if (missing !== undefined)
    throw new RelayError(
      "unavailable",
      `There is no subscription ${clean(missing)}: relay subscriptions list shows them`,
    );
  return all.filter(({ id }) => target.ids.includes(id));
}

function isApplicationHold(flags: Flags, verb: Verb): boolean {
  return textOf(flags, "application") !== null && (verb === "pause" || verb === "resume");
}

async function commandEach(
  { client, flags, io, stopping }: RemoteCall,
  { verb, ids }: { readonly verb: Verb; readonly ids: readonly string[] },
): Promise<number> {
  const isJson = flags["json"] === true;
  const items: unknown[] = [];
  const faults: string[] = [];
  for (const id of ids) {
    const body = verb === "resume" ? { body: { skip: flags["skip"] === true } } : {};
    try {
      const answer = await client.ask("POST", subscriptionPath(id, verb), body);
      const value = expectDone(answer, `${verb} ${clean(id)}`);
      items.push(value);
      if (!isJson) io.stdout(`${clean(describeDone(parseAnswer(subscriptionViewSchema, value), verb))}\n`);
    } catch (error) {
      if (!(error instanceof RelayError) || stopping.aborted || ids.length === 1) throw error;
      faults.push(messageOf(error));
      io.stderr(`${clean(messageOf(error))}\n`);
    }
  }
  if (isJson) io.stdout(toJsonList(items, faults));
  return faults.length === 0 ? 0 : 1;
}

function describeDone({ id, status, consumerStatus, notStored }: SubscriptionView, verb: Verb): string {
  const still =
    verb === "resume" && consumerStatus === "STOPPED"
      ? "; it is still stopped by its consumer"
      : verb === "start" && status === "PAUSED"
        ? "; it is still paused"
        : "";
  return `${id} ${DONE[verb]}${still}${describeNotStored(notStored)}`;
}

function describeNotStored(reason: string | null): string {
  return reason === null ? "" : ` (not stored yet, in effect on this relay only: ${reason})`;
}

/** As a whole: with the subscriptions that it makes meanwhile. */
async function commandApplication(
  { client, flags, io }: RemoteCall,
  { verb, has }: { readonly verb: Verb; readonly has: (subscription: SubscriptionView) => boolean },
): Promise<number> {
  const name = textOf(flags, "application") ?? "";
  const answer = await client.ask("POST", `api/applications/${encodeURIComponent(name)}/${verb}`);
  const value = expectDone(answer, `${verb} the application ${clean(name)}`);
  const { application, subscriptions, notStored } = parseAnswer(applicationSchema, value);
  if (flags["json"] === true) {
    const items = (await listSubscriptions(client)).filter(has);
    io.stdout(toJsonList(items));
    return 0;
  }
  const yet = describeNotStored(notStored);
  io.stdout(`${clean(`Application ${application} ${DONE[verb]}: ${countOf(subscriptions)}${yet}`)}\n`);
  return 0;
}

function countOf(number: number): string {
  return `${number} ${number === 1 ? "subscription" : "subscriptions"}`;
}

function toJsonList(items: readonly unknown[], faults: readonly string[] = []): string {
  return toSafeJson({ items, next: null, faults });
}
