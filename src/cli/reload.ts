// `relay reload`: makes the running relay read its config again, and prints what changed or why it was refused.

import { clean, toSafeJson } from "#lib/printable.ts";
import { reloadSchema } from "#wire/status.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone, PATIENT_MS } from "./client.ts";
import { toRelative } from "./relative-time.ts";
import { JSON_OPTION, type RemoteCall, type RemoteCommand } from "./remote-command.ts";

export const RELOAD_COMMAND: RemoteCommand = {
  usage: "reload",
  description: "make the running relay read its config again",
  options: [JSON_OPTION],
  examples: ["relay reload", "relay reload --config /etc/relay/relay.config.json"],
  note: [
    "It waits until subscriptions that change have drained. If the config is refused, it prints the faults as",
    "relay check does, and the running config stays active.",
  ].join("\n"),
  check: () => undefined,
  run: reload,
};

const REFUSED = 422;

async function reload({ client, flags, io, nowMs }: RemoteCall): Promise<number> {
  // Asks for the status first, with the short time limit: a hung relay fails at once, and a drain may take long.
  expectDone(await client.ask("GET", "api/status"), "reload the config");
  const answer = await client.ask("POST", "api/reload", { limitMs: PATIENT_MS });
  if (answer.kind === "refused" && answer.status === REFUSED) {
    if (flags["json"] === true) io.stdout(toSafeJson({ kind: "refused", report: answer.reason }));
    else io.stderr(`${answer.reason}\nThe running config stays active.\n`);
    return 1;
  }
  const value = expectDone(answer, "reload the config");
  const { changes, warnings, loadedAt } = parseAnswer(reloadSchema, value);
  if (flags["json"] === true) {
    io.stdout(toSafeJson(value));
    return 0;
  }
  // The relay may have reloaded the changed file already.
  const same = `Nothing changed: the config that runs was loaded ${toRelative(loadedAt, nowMs)}`;
  const lines = changes.length === 0 ? [same] : changes;
  io.stdout(
    [...lines, ...warnings.map((text) => `  warning: ${text}`)].map((line) => `${clean(line)}\n`).join(""),
  );
  return 0;
}
