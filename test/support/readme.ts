// The parts of the README that are made from the code. Run by `npm run docs`, it writes them.

import { describeConfig } from "#schema/describe.ts";
import { describeConnectionFaults } from "#nats/fault-words.ts";
import { describeMetrics } from "./metrics-table.ts";

export const README = new URL("../../README.md", import.meta.url).pathname;

/** The text with the tables of the config made anew. */
export function withConfigTables(text: string): string {
  const [single, lists] = [true, false].map((isSingle) =>
    describeConfig().filter(
      ({ name, rows }) => rows.every(({ key }) => key.startsWith(`${name}.`)) === isSingle,
    ),
  );
  const head = "| key | default | meaning |\n|---|---|---|\n";
  const common = (single ?? []).map(({ markdown }) => markdown.trim().replace(head, "")).join("\n");
  const tables = (lists ?? []).map(({ name, markdown }) => `**\`${name}\`**\n\n${markdown.trim()}\n`);
  return replaceBetween(text, "config", [`${head}${common}\n`, ...tables].join("\n"));
}

/** Puts `content` between `<!-- name -->` and `<!-- /name -->`. Throws where they are missing. */
export function replaceBetween(text: string, name: string, content: string): string {
  const [from, to] = findPart(text, name);
  return `${text.slice(0, from)}\n${content}${text.slice(to)}`;
}

/** What is between them. */
export function textBetween(text: string, name: string): string {
  return text.slice(...findPart(text, name));
}

function findPart(text: string, name: string): [from: number, to: number] {
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const from = text.indexOf(start) + start.length;
  const to = text.indexOf(end, from);
  if (from < start.length || to < 0) throw new Error(`The README has no part "${name}"`);
  return [from, to];
}

const REFERENCE = new URL("../../src/cli/", import.meta.url).pathname;

/** The text with what `relay reference` prints too: errors, permissions and metrics. */
export async function withReference(text: string): Promise<string> {
  const read = (name: string) => Bun.file(`${REFERENCE}reference-${name}.txt`).text();
  const withErrors = replaceBetween(text, "errors", await read("errors"));
  const withNatsErrors = replaceBetween(withErrors, "nats-errors", describeConnectionFaults());
  const withMetrics = replaceBetween(withNatsErrors, "metrics", await read("metrics"));
  return replaceBetween(withMetrics, "permissions", `\`\`\`conf\n${await read("permissions")}\`\`\`\n`);
}

if (import.meta.main) {
  await Bun.write(`${REFERENCE}reference-metrics.txt`, `${await describeMetrics()}\n`);
  const text = withConfigTables(await Bun.file(README).text());
  await Bun.write(README, await withReference(text));
}
