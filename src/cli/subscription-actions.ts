// Runs `relay subscriptions …`: asks the relay, and prints what it answered.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { exchangeSchema, subscriptionViewSchema } from "#wire/subscription.ts";
import { parseAnswer } from "./answers.ts";
import { type Asking, expectDone, PATIENT_MS } from "./client.ts";
import { confirmed } from "./confirm.ts";
import { runDryRun } from "./dry-run.ts";
import { formatExchange } from "./exchange.ts";
import { type RemoteCall, textOf } from "./remote-command.ts";
import { formatSubscription } from "./subscription-details.ts";
import { subscriptionPath } from "./subscription-path.ts";
import { formatOrphans, formatSubscriptions, listOrphans, listSubscriptions } from "./subscription-list.ts";

export async function showList({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
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

export async function showSubscription(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, nowMs } = call;
  const value = expectDone(await client.ask("GET", pathOf(call)), `show ${idOf(call)}`);
  const subscription = parseAnswer(subscriptionViewSchema, value);
  const { definition } = value as { readonly definition?: unknown };
  if (flags["json"] === true) io.stdout(toSafeJson(value));
  else io.stdout(formatSubscription(subscription, { definition, screen, nowMs }));
  return 0;
}

export async function testSubscription(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, readInput } = call;
  const file = textOf(flags, "body");
  const body = file === null ? null : await readInput(file);
  // Asks for the subscription first, with the short time limit: a hung relay fails at once, and a callback may take long.
  expectDone(await client.ask("GET", pathOf(call)), `test ${idOf(call)}`);
  if (flags["dryRun"] === true) {
    return runDryRun(call, { path: pathOf(call, "test"), what: `test ${idOf(call)}`, body });
  }
  const sample: Asking = body === null || body.length === 0 ? {} : { body };
  const answer = await client.ask("POST", pathOf(call, "test"), { ...sample, limitMs: PATIENT_MS });
  const value = expectDone(answer, `test ${idOf(call)}`);
  const exchange = parseAnswer(exchangeSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatExchange(exchange, screen));
  return exchange.outcome === "delivered" ? 0 : 1;
}

export async function deleteSubscription(call: RemoteCall): Promise<number> {
  const { client, io } = call;
  const value = expectDone(await client.ask("GET", pathOf(call)), `delete ${idOf(call)}`);
  const { id, source, origin } = parseAnswer(subscriptionViewSchema, value);
  if (origin === "file") {
    throw new RelayError(
      "unavailable",
      `Cannot delete ${clean(id)}: it is defined in the config file: delete it there`,
    );
  }
  const question = `Delete ${id} and its consumer ${source.consumer}?`;
  if (!(await confirmed(call, { what: `delete ${id}`, question }))) {
    io.stdout("Nothing was deleted\n");
    return 1;
  }
  const answer = await client.ask("DELETE", pathOf(call), { limitMs: PATIENT_MS });
  expectDone(answer, `delete ${idOf(call)}`);
  io.stdout(`${clean(id)} is deleted\n`);
  return 0;
}

export function pathOf({ args }: RemoteCall, verb?: string): string {
  return subscriptionPath(args[0], verb);
}

export function idOf({ args }: RemoteCall): string {
  return clean(args[0] ?? "");
}
