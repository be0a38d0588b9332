// Mistakes that people make in a config, and what each of them gets to read: mistakes.md is the table.

import { expect, test } from "bun:test";
import { describeIssue, formatReport } from "#schema/issue.ts";
import { parseForTest } from "./parse-for-test.ts";

interface Mistake {
  readonly name: string;
  readonly text: string;
  readonly says: string;
}

const NAME = "relay.config.json";
const page = await Bun.file(new URL("mistakes.md", import.meta.url)).text();
const [config = ""] = blocksOf(page);

function blocksOf(text: string): readonly string[] {
  return [...text.matchAll(/^```(?:json|text|diff)\n(.*?)^```$/gmsu)].map(([, block = ""]) => block);
}

/** A heading, then the change of the config or another one, then the report without its first line. */
const mistakes: readonly Mistake[] = page
  .split(/^### /mu)
  .slice(1)
  .map((section) => {
    const [name = ""] = section.split("\n", 1);
    const [written = "", says = ""] = blocksOf(section);
    return { name, text: section.includes("```diff") ? change(written) : written, says };
  });

function change(diff: string): string {
  const linesOf = (sign: string) =>
    diff
      .split("\n")
      .filter((line) => line.startsWith(`${sign} `) || line === sign)
      .map((line) => line.slice(2))
      .join("\n");
  const before = linesOf("-");
  expect(config).toContain(before);
  return config.replace(before, () => linesOf("+"));
}

async function reportOf(text: string): Promise<string> {
  const parsed = await parseForTest(text, { env: { TOKEN: "an-ordinary-token" } });
  if (parsed.kind === "valid") {
    return parsed.config.warnings
      .map((issue) => `warning: ${NAME}:${issue.line}:${issue.column} ${describeIssue(issue)}\n`)
      .join("");
  }
  const [, ...lines] = formatReport(NAME, parsed.issues).split("\n");
  return lines.map((line) => `${line.slice(2)}\n`).join("");
}

test("mistakes.md begins with a valid config", async () => {
  expect(await reportOf(config)).toBe("");
});

test("mistakes.md has more than sixty mistakes, each once", () => {
  const names = new Set(mistakes.map(({ name }) => name));
  expect(names.size).toBe(mistakes.length);
  expect(names.size).toBeGreaterThanOrEqual(60);
});

test.each(mistakes.map((mistake) => [mistake.name, mistake] as const))(
  "parseConfig() says what to do about: %s",
  async (_, { text, says }) => {
    const report = await reportOf(text);
    expect(report).toBe(says);
    expect(report).not.toContain("hunter2");
  },
);
