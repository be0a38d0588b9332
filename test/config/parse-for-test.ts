// Parsing as the tests of this room need it: a small valid file, changed here and there.

import { createIterationBudget } from "#keystore/budget.ts";
import { describeIssue, formatIssue } from "#schema/issue.ts";
import { parseConfig, type ParsedConfig } from "#config/parse.ts";
import type { Config } from "#config/resolve.ts";
import { type ConfigContext, resolveSecrets } from "#config/secrets.ts";
import { loadStores, type Stores } from "#config/stores.ts";
import { validate } from "#schema/validate.ts";

export type Json = Readonly<Record<string, unknown>>;

/** No environment, no files. */
export const EMPTY_CONTEXT: ConfigContext = {
  env: {},
  directory: "/home/relay",
  readFile: noSuchFile,
  readBytes: noSuchFile,
  now: new Date("2026-01-01T00:00:00Z"),
  hostName: "edge",
  withoutSecrets: false,
};

function noSuchFile(path: string): never {
  throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
}

export const SOURCE: Json = {
  name: "orders",
  type: "jetstream",
  consumer: { stream: "ORDERS", subjects: ["orders.>"] },
};
export const LETTERS: Json = {
  name: "letters",
  type: "jetstream",
  producer: { stream: "LETTERS", subject: "letters" },
};

export const FILE: Json = {
  endpoints: [SOURCE, LETTERS],
  entrypoints: [{ type: "webhook" }],
  subscriptions: [{ id: "a", configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/" } }],
};

export function withEntrypoint(entrypoint: Json): Json {
  return { ...FILE, entrypoints: [{ type: "webhook", ...entrypoint }] };
}

/** What an entrypoint's `configuration` says. */
export function withSettings(configuration: Json): Json {
  return withEntrypoint({ configuration });
}

export function withSubscription(subscription: Json): Json {
  return { ...FILE, subscriptions: [{ id: "a", ...subscription }] };
}

/** What a subscription's `configuration` says. */
export function withDelivery(configuration: Json): Json {
  const needed = { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/" };
  return withSubscription({ configuration: { ...needed, ...configuration } });
}

/** The issues, one line each, without their places, and without what is suggested: mistakes.md has that. */
export async function faultsOf(
  file: unknown,
  context: Partial<ConfigContext> = {},
): Promise<readonly string[]> {
  const parsed = await parseForTest(file, context);
  if (parsed.kind === "valid") return [];
  return parsed.issues.map((issue) =>
    formatIssue("f", Object.assign({}, issue, { suggestion: null })).replace(/^f:\d+:\d+ /u, ""),
  );
}

/** `file`: its text, or what that says. */
export function parseForTest(file: unknown, context: Partial<ConfigContext> = {}): Promise<ParsedConfig> {
  const text = typeof file === "string" ? file : JSON.stringify(file);
  return parseConfig(text, { ...EMPTY_CONTEXT, ...context }, new AbortController().signal);
}

export async function configOf(file: unknown, context: Partial<ConfigContext> = {}): Promise<Config> {
  const parsed = await parseForTest(file, context);
  if (parsed.kind === "valid") return parsed.config;
  throw new Error(parsed.issues.map((issue) => formatIssue("f", issue)).join("\n"));
}

/** One line each, without their places. */
export async function warningsOf(
  file: unknown,
  context: Partial<ConfigContext> = {},
): Promise<readonly string[]> {
  return (await configOf(file, context)).warnings.map(describeIssue);
}

/** What the keys and certificates of a valid file came to. */
export async function storesOf(file: unknown, changes: Partial<ConfigContext> = {}): Promise<Stores> {
  const validation = validate(file);
  if (validation.kind === "invalid")
    throw new Error(validation.faults.map((fault) => fault.message).join("\n"));
  const context = { ...EMPTY_CONTEXT, ...changes };
  return loadStores(validation.file, {
    context,
    secrets: resolveSecrets(validation.file, context),
    budget: createIterationBudget([], new AbortController().signal),
    former: null,
  });
}
