// Parses a config text: the config, or all faults of the file in one report.

import * as v from "valibot";
import { createIterationBudget, limitTo } from "#keystore/budget.ts";
import type { ConfigFile } from "#schema/file.ts";
import { type Fault, formatPath, type Issue } from "#schema/issue.ts";
import { fleetSchema, toHostName } from "#schema/host.ts";
import { schemaWords } from "#schema/key-advice.ts";
import { natsSchema } from "#schema/nats.ts";
import { toWrittenPath } from "#schema/subscription.ts";
import { type SchemaFault, type SoundFile, validate, type Validation } from "#schema/validate.ts";
import { checkEndpoints } from "./check-endpoints.ts";
import { checkEntrypoints, type SystemProxy } from "./check-entrypoints.ts";
import { checkHost } from "./check-host.ts";
import { checkNats } from "./check-nats.ts";
import { checkSubscriptions } from "./check-subscriptions.ts";
import { type JsonText, parseJsonText } from "./json-text.ts";
import { explainFaults, putValues, type ReferenceUse } from "./plain-references.ts";
import { readProxyEnvironment } from "./proxy-environment.ts";
import { type Config, resolveConfig, resolveNats } from "./resolve.ts";
import { type ConfigContext, findReferredSecrets, resolveSecrets, type Secrets } from "./secrets.ts";
import { loadStores, type Stores } from "./stores.ts";
import { listWarnings } from "./warnings.ts";

export type ParsedConfig =
  | { readonly kind: "valid"; readonly config: Config }
  /** In the order of the file; never empty. */
  | {
      readonly kind: "invalid";
      readonly issues: readonly Issue[];
      /** True: the text itself is at fault. False: only the environment, or a file that the text names. */
      readonly isOfText: boolean;
    };

/** The key-derivation iterations that all key stores of a file may cost: about half a minute of CPU time. */
const MAX_ITERATIONS = 60_000_000;

/** Rejects with a RelayError only if `signal` aborts. */
export async function parseConfig(
  text: string,
  context: ConfigContext,
  signal: AbortSignal,
): Promise<ParsedConfig> {
  const json = parseJsonText(text, schemaWords);
  if (!json.hasValue) return { kind: "invalid", issues: json.issues, isOfText: true };
  const substitution = putValues(json.value, context);
  const validation = validate(substitution.value);
  const sound: SoundFile = validation.kind === "valid" ? validation.file : validation.sound;
  const secrets = resolveSecrets(sound, context);
  const budget = createIterationBudget([limitTo(MAX_ITERATIONS, "those of the file")], signal);
  const stores = await loadStores(sound, { context, secrets, budget, former: null });
  const faults = [
    ...substitution.faults.map(toSchemaFault),
    ...explainFaults(listFaults({ validation, sound, secrets, stores, context }), substitution),
  ];
  const issues = [...json.issues, ...locate(faults, json)];
  if (validation.kind === "invalid" || issues.length > 0) {
    const isOfText =
      (validation.kind === "invalid" && substitution.uses.length === 0) || json.issues.length > 0;
    return { kind: "invalid", issues: tidy(issues), isOfText };
  }
  const { file } = validation;
  const found = [...listWarnings(file, { value: json.value, secrets, context }), ...stores.warnings];
  const warnings = tidy(locate(explainFaults(found, substitution).map(toSchemaFault), json));
  const references = listReferences(file, substitution.uses);
  return { kind: "valid", config: resolveConfig(file, { context, secrets, stores, references, warnings }) };
}

const natsPart = v.object({
  nats: v.optional(natsSchema, {}),
  fleet: v.optional(fleetSchema, {}),
});

/** Looks at `nats` and `fleet` only: what else there is may have faults, and secrets that are not to be read here. */
export function parseNatsConfig(
  text: string,
  context: ConfigContext,
):
  | { readonly kind: "valid"; readonly config: Pick<Config, "nats" | "fleet"> }
  | { readonly kind: "invalid"; readonly issues: readonly Issue[] } {
  const json = parseJsonText(text, schemaWords);
  if (!json.hasValue) return { kind: "invalid", issues: json.issues };
  const { nats, fleet } = (json.value ?? {}) as { readonly nats?: unknown; readonly fleet?: unknown };
  const given = { ...(nats === undefined ? {} : { nats }), ...(fleet === undefined ? {} : { fleet }) };
  const substitution = putValues(given, context);
  const { output: file, success } = v.safeParse(natsPart, substitution.value);
  const secrets = resolveSecrets(success ? file : {}, context);
  const { valueOf } = secrets;
  const found = success ? checkNats(file, { context, valueOf }) : listPartFaults(substitution.value);
  const faults = [
    ...substitution.faults.map(toSchemaFault),
    ...explainFaults([...secrets.faults, ...found].map(toSchemaFault), substitution),
  ];
  if (!success || faults.length > 0) return { kind: "invalid", issues: tidy(locate(faults, json)) };
  const host = toHostName(context.hostName);
  return {
    kind: "valid",
    config: { fleet: file.fleet, nats: resolveNats(file, { context, secrets, host }) },
  };
}

/** Without those about what a whole file has. */
function listPartFaults(part: unknown): readonly SchemaFault[] {
  const validation = validate(part);
  const faults = validation.kind === "invalid" ? validation.faults : [];
  return faults.filter(({ path: [key] }) => key === "nats" || key === "fleet");
}

function toSchemaFault(fault: Fault): SchemaFault {
  return { ...fault, at: "value" };
}

/** The references to secrets, which are still in the file, and those that `putValues` replaced by their values. */
function listReferences(file: ConfigFile, uses: readonly ReferenceUse[]): Config["references"] {
  return [...uses, ...findReferredSecrets(file)].map(({ path, source }) => ({
    path: formatPath(path),
    source,
  }));
}

function listFaults({
  validation,
  sound,
  secrets,
  stores,
  context,
}: {
  validation: Validation;
  sound: SoundFile;
  secrets: Secrets;
  stores: Stores;
  context: ConfigContext;
}): SchemaFault[] {
  const { valueOf } = secrets;
  const found = [
    ...secrets.faults,
    ...stores.faults,
    ...checkHost(sound, { context, valueOf }),
    ...checkEndpoints(sound),
    ...checkEntrypoints(sound, { valueOf, systemProxy: systemProxyOf(sound, context) }),
    ...checkSubscriptions(sound, { valueOf }),
  ];
  const schemaFaults = validation.kind === "invalid" ? validation.faults : [];
  return [...schemaFaults, ...found.map(toSchemaFault)];
}

/** Under `withoutSecrets` this is not the relay's environment, and says nothing about its proxy. */
function systemProxyOf(file: SoundFile, { env, withoutSecrets }: ConfigContext): SystemProxy {
  if (withoutSecrets || file.system === undefined || "proxy" in file.system) return { kind: "found" };
  return readProxyEnvironment(env);
}

function locate(faults: readonly SchemaFault[], json: JsonText): Issue[] {
  return faults.map(({ path: known, message, suggestion = null, at }) => {
    const path = toWrittenPath(known, json.value);
    return { ...json.locate(path, at), path: formatPath(path), message, suggestion, excerpt: null };
  });
}

/** Sorts by position, and drops repetitions. */
function tidy(issues: readonly Issue[]): readonly Issue[] {
  const distinct = new Map(
    issues.map((issue) => [`${issue.line}:${issue.column}:${issue.path}:${issue.message}`, issue]),
  );
  return [...distinct.values()].sort((left, right) => left.line - right.line || left.column - right.column);
}
