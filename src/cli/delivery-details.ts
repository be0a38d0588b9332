// `relay logs show`: one delivery with its attempts, and the request and response that were recorded.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { type DeliveryDetail, deliveryDetailSchema } from "#wire/delivery.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { styleOf } from "./delivery-line.ts";
import { layOut } from "./exchange.ts";
import { toHexDump } from "./hex-dump.ts";
import { toRelative } from "./relative-time.ts";
import type { Flags, RemoteCall } from "./remote-command.ts";
import { type Column, formatTable } from "./table.ts";
import { paint, type Screen } from "./terminal.ts";

interface View {
  readonly screen: Screen;
  readonly nowMs: number;
}

type Side = NonNullable<DeliveryDetail["request"]>;

/** Throws a RelayError `usage`. */
export function checkDeliveryShow(_flags: Flags, [id = ""]: readonly string[]): void {
  if (/^[\w-]{1,128}$/u.test(id)) return;
  throw new RelayError("usage", `No delivery has the id "${clean(id)}": relay logs shows them`);
}

export async function printDelivery({ client, args, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const id = args[0] ?? "";
  const value = expectDone(await client.ask("GET", `api/deliveries/${id}`), `show delivery ${id}`);
  const delivery = parseAnswer(deliveryDetailSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatDetail(delivery, { screen, nowMs }));
  return 0;
}

function formatDetail(delivery: DeliveryDetail, { screen, nowMs }: View): string {
  const { id, status, request, response } = delivery;
  const facts = listFacts(delivery, nowMs).filter(([, text]) => text !== "");
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = [
    `${paint(screen, "bold", clean(id))}  ${paint(screen, styleOf(status), String(status))}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(width)}  ${clean(text)}`),
  ];
  const sides = [
    ["request", request],
    ["response", response],
  ] as const;
  return [
    `${lines.join("\n")}\n`,
    formatAttempts(delivery, screen),
    ...sides.map(([name, side]) => (side === null ? "" : formatSide(side, { name, screen }))),
  ]
    .filter((text) => text !== "")
    .join("\n");
}

function listFacts(delivery: DeliveryDetail, nowMs: number): readonly (readonly [string, string])[] {
  const { date, method, callbackUrl, durationMs, error, deadLetterId, application } = delivery;
  return [
    ["date", `${date} (${toRelative(date, nowMs)})`],
    ["callback", `${method} ${callbackUrl}`],
    ["took", delivery.attempts.length === 0 ? "" : `${durationMs} ms`],
    ["error", error ?? ""],
    ["dead letter", deadLetterId ?? ""],
    ["subscription", delivery.subscription],
    ["application", application ?? ""],
    ["entrypoint", delivery.entrypoint],
    ["webhook-id", delivery.webhookId],
    ["message", `${delivery.stream} ${delivery.sequence}`],
    ["subject", delivery.subject],
  ];
}

function formatAttempts({ attempts }: DeliveryDetail, screen: Screen): string {
  if (attempts.length === 0) return "Nothing was sent.\n";
  const columns: readonly Column<DeliveryDetail["attempts"][number]>[] = [
    { title: "ATTEMPT", textOf: ({ date }) => date },
    {
      title: "STATUS",
      textOf: ({ status }) => String(status),
      isNumber: true,
      styleOf: ({ status }) => styleOf(status),
    },
    { title: "MS", textOf: ({ durationMs }) => String(durationMs), isNumber: true },
    { title: "ERROR", textOf: ({ error }) => error ?? "" },
  ];
  return formatTable(attempts, { columns, screen });
}

function formatSide(
  { headers, body, encoding, truncated }: Side,
  { name, screen }: { name: string; screen: Screen },
): string {
  const lines = (headers ?? []).map(([header, value]) => clean(`${header}: ${value}`));
  const content = body ?? "";
  const shown = encoding === "base64" ? toHexDump(Buffer.from(content, "base64")).trimEnd() : layOut(content);
  const rest = truncated ? [paint(screen, "dim", "(there was more)")] : [];
  const text = content === "" ? rest : ["", shown, ...rest];
  return [paint(screen, "bold", name), ...lines, ...text].map((line) => `${line}\n`).join("");
}
