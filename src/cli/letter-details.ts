// `relay dlq show`: one dead letter with its headers and its payload.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { type DeadLetterDetail, deadLetterDetailSchema } from "#wire/dead-letter.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { layOut } from "./exchange.ts";
import { toHexDump } from "./hex-dump.ts";
import { toRelative } from "./relative-time.ts";
import { type Flags, type RemoteCall, textOf } from "./remote-command.ts";
import { save } from "./save.ts";
import { paint, type Screen } from "./terminal.ts";

const ID = /^[\w.~@-]{1,1024}$/u;

/** Throws a RelayError `usage`. */
export function checkLetterShow(flags: Flags, args: readonly string[]): void {
  checkLetterIds(args);
  const ways = ["hex", "raw", "json", "output"].filter((name) => flags[name] !== undefined);
  if (ways.length > 1) throw new RelayError("usage", "show takes one of --hex, --raw, --json and --output");
}

/** Throws a RelayError `usage`. */
export function checkLetterIds(ids: readonly string[]): void {
  const wrong = ids.find((id) => !ID.test(id) || /^\.+$/u.test(id));
  if (wrong === undefined) return;
  throw new RelayError("usage", `No dead letter has the id "${clean(wrong)}": relay dlq list shows them`);
}

export async function printLetter(call: RemoteCall): Promise<number> {
  const { client, args, flags, io, screen, nowMs } = call;
  const id = args[0] ?? "";
  const path = textOf(flags, "output");
  if (flags["raw"] === true || path !== null) return savePayload(call, { id, path });
  const encoding = flags["hex"] === true ? "hex" : "text";
  const answer = await client.ask("GET", `api/dead-letters/${encodeURIComponent(id)}?payload=${encoding}`);
  const value = expectDone(answer, `show ${clean(id)}`);
  const letter = parseAnswer(deadLetterDetailSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatLetter(letter, { screen, nowMs }));
  return 0;
}

async function savePayload(
  { client, io, screen }: RemoteCall,
  { id, path }: { id: string; path: string | null },
): Promise<number> {
  if (path === null && screen.width !== null) {
    const why = "it may hold commands to it: use --output, --hex, or a pipe";
    throw new RelayError("usage", `Cannot write the bytes to a terminal, ${why}`);
  }
  const opened = await client.open(`api/dead-letters/${encodeURIComponent(id)}/payload`);
  if (opened.kind === "refused") expectDone(opened, `show ${clean(id)}`);
  else await save(opened.chunks, { path, io });
  return 0;
}

function formatLetter(
  letter: DeadLetterDetail,
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  const facts = listFacts(letter, nowMs).filter(([, text]) => text !== "");
  const width = Math.max(...facts.map(([name]) => name.length));
  const { encoding, content, isCut } = letter.payload;
  const payload = encoding === "hex" ? toHexDump(Buffer.from(content, "hex")) : `${layOut(content)}\n`;
  const lines = [
    paint(screen, "bold", clean(letter.id)),
    ...facts.map(([name, text]) => `  ${name.padEnd(width)}  ${clean(text)}`),
    "",
    ...letter.headers.map(([name, value]) => clean(`${name}: ${value}`)),
  ];
  const rest = isCut ? `${paint(screen, "dim", "(there is more: --output saves all of it)")}\n` : "";
  return `${lines.join("\n")}\n\n${content === "" ? "" : payload}${rest}`;
}

function listFacts(letter: DeadLetterDetail, nowMs: number): readonly (readonly [string, string])[] {
  const { date, reason, status, error, attempts, replays, stream, sequence, subject } = letter;
  const answered = status === null || status === 0 ? "" : `, status ${status}`;
  const made = `${attempts ?? "unknown"}${replays === 0 ? "" : `, replayed ${replays} times`}`;
  const facts: readonly (readonly [string, string])[] = [
    ["reason", `${reason ?? "unknown"}${answered}`],
    ["error", error ?? ""],
    ["attempts", made + (letter.isExhausted ? ", as often as the schedule allows" : "")],
    ["subscription", letter.subscription ?? ""],
    ["application", letter.application ?? ""],
    ["entrypoint", letter.entrypoint ?? ""],
    ["message", `${stream ?? ""} ${sequence ?? ""}`.trim()],
  ];
  return [
    ["date", `${date} (${toRelative(date, nowMs)})`],
    ...(letter.isForeign ? ([["reason", "Relay did not write it"]] as const) : facts),
    ["subject", subject ?? ""],
    ["lies in", letter.endpoint],
    ["size", `${letter.size} bytes`],
  ];
}
