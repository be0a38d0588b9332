// Runs `relay subscriptions test ID --dry-run`: shows the request that a message would become.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { type DryRunBody, dryRunSchema, type DryRunView } from "#wire/dry-run.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { layOut, listHeaders } from "./exchange.ts";
import { type Flags, type RemoteCall, textOf, textsOf, wholeNumberOf } from "./remote-command.ts";
import { paint, type Screen } from "./terminal.ts";

/** Of `test`, with `--dry-run` only. */
export const DRY_RUN_OPTIONS = [
  { flags: "--dry-run", description: "send nothing: show the request that the message would become" },
  { flags: "--sequence <number>", description: "with --dry-run: this message of the stream" },
  { flags: "--subject <subject>", description: "with --dry-run: the subject of the message" },
  {
    flags: "--header <header>",
    description: "with --dry-run: a header of the message, as 'Name: value'",
    isRepeatable: true,
  },
];

export function checkDryRunFlags(flags: Flags): void {
  const isDry = flags["dryRun"] === true;
  const own = ["sequence", "subject", "header"].filter((name) => textsOf(flags, name).length > 0);
  if (!isDry && own.length > 0) throw new RelayError("usage", `--${own[0]} needs --dry-run`);
  const others = ["body", "subject", "header"].filter((name) => textsOf(flags, name).length > 0);
  if (own.includes("sequence") && others.length > 0) {
    throw new RelayError("usage", `--sequence excludes --${others[0]}: the stream has the message`);
  }
  if (own.includes("sequence"))
    wholeNumberOf(flags, { name: "sequence", min: 1, max: Number.MAX_SAFE_INTEGER });
  for (const header of textsOf(flags, "header")) toHeader(header);
}

/** Exit code 1 if an expression failed. */
export async function runDryRun(
  { client, flags, io, screen }: RemoteCall,
  { path, what, body }: { path: string; what: string; body: Uint8Array | null },
): Promise<number> {
  const answer = await client.ask("POST", path, { body: toBody(flags, body) });
  const value = expectDone(answer, what);
  const view = parseAnswer(dryRunSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : format(view, screen));
  return view.result === "failed" ? 1 : 0;
}

function toBody(flags: Flags, body: Uint8Array | null): DryRunBody {
  const dryRun = true;
  const sequence = textOf(flags, "sequence");
  if (sequence !== null) return { dryRun, sequence: Number(sequence) };
  const subject = textOf(flags, "subject");
  const headers = textsOf(flags, "header").map(toHeader);
  return {
    dryRun,
    ...(body === null ? {} : { body: new TextDecoder().decode(body) }),
    ...(subject === null ? {} : { subject }),
    ...(headers.length === 0 ? {} : { headers }),
  };
}

function toHeader(text: string): { name: string; value: string } {
  const colon = text.indexOf(":");
  if (colon < 1) throw new RelayError("usage", "--header has the form 'Name: value'");
  return { name: text.slice(0, colon).trim(), value: text.slice(colon + 1).trim() };
}

function format({ result, error, message, request }: DryRunView, screen: Screen): string {
  const { subject, stream, sequence } = message;
  const about = sequence === 0 ? subject : `${subject}, ${sequence} of ${stream}`;
  if (request === null) {
    const text = result === "filtered" ? "The filter does not want it: no request" : `Failed: ${error ?? ""}`;
    return `${paint(screen, result === "failed" ? "red" : "yellow", clean(`${text} (${about})`))}\n`;
  }
  const lines = [
    `> ${paint(screen, "bold", clean(`${request.method} ${request.url}`))}`,
    ...listHeaders(">", request.headers),
    ...(request.body === "" ? [] : [layOut(request.body), ""]),
    paint(
      screen,
      "dim",
      clean(
        `Nothing was sent: ${request.bodyBytes} bytes of ${about}${request.truncated ? ", cut here" : ""}`,
      ),
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
