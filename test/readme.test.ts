// The README says what the code says.

import { expect, test } from "bun:test";
import { hostname } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import { parseConfig } from "#config/parse.ts";
import { README, withConfigTables, withReference } from "./support/readme.ts";
import { runRelay } from "./support/relay.ts";

const text = await Bun.file(README).text();

function parse(config: string): ReturnType<typeof parseConfig> {
  const context = {
    env: {},
    directory: "/",
    readFile: () => "",
    readBytes: () => new Uint8Array(0),
    now: new Date(),
    hostName: hostname(),
    withoutSecrets: true,
  };
  return parseConfig(config, context, new AbortController().signal);
}

test("its tables of the config are those of the schema (npm run docs writes them)", () => {
  expect(withConfigTables(text)).toBe(text);
});

test("its errors, metrics and permissions are those of relay reference", async () => {
  expect(await withReference(text)).toBe(text);
});

test("every config in it is valid", async () => {
  const configs = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
  expect(configs.length).toBeGreaterThan(0);
  for (const config of configs) expect(await parse(config)).toMatchObject({ kind: "valid" });
});

test("the sample config is valid, and nothing in it is without effect", async () => {
  const sample = await Bun.file(new URL("../relay.config.json", import.meta.url)).text();
  const parsed = await parse(sample);
  expect(parsed).toMatchObject({ kind: "valid", config: { warnings: [] } });
});

test("every command of the binary is in it, and every command in it is in the binary", async () => {
  const { stdout } = await runRelay(["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)?(?: \[| {2,})/gm)].map(([, name]) => name);
  const documented = [...text.matchAll(/^\| `relay ([a-z]+)/gm)].map(([, name]) => name);
  expect(new Set(commands.filter((name) => name !== "help"))).toEqual(new Set(documented));
});

test("every package that is installed is explained", () => {
  const names = [...Object.keys(packageJson.dependencies), ...Object.keys(packageJson.devDependencies)];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test("every npm script in it exists", () => {
  const scripts = [...text.matchAll(/npm run ([a-z]+)/g)].map(([, name]) => name ?? "");
  expect(scripts.filter((name) => !(name in packageJson.scripts))).toEqual([]);
});
