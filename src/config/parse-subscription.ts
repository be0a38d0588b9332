// Parses a subscription made by API: an entry of the file's `subscriptions`, with inline values only.

import type { Subscription } from "#delivery/subscription.ts";
import type { IterationBudget } from "#keystore/budget.ts";
import { isObject } from "#lib/json.ts";
import type { SubscriptionEntry } from "#schema/file.ts";
import { describeFault, describeIssue, type Fault, formatPath } from "#schema/issue.ts";
import { toInlineMessage } from "#schema/secret.ts";
import { type SoundFile, validate } from "#schema/validate.ts";
import { expressionPaths } from "./check-shape.ts";
import { checkSubscriptions } from "./check-subscriptions.ts";
import { deliveryPath, deliverySettings, findEntrypoint, type SoundSubscription } from "./references.ts";
import { holdsInlineSecret } from "./request-secrets.ts";
import { resolveSubscription } from "./resolve-subscription.ts";
import type { ConfigOrigin } from "./resolve.ts";
import { type ConfigContext, resolveSecrets, type Secrets } from "./secrets.ts";
import { loadStores, type ReadStores, type Stores } from "./stores.ts";

export interface SubscriptionScope {
  readonly origin: ConfigOrigin;
  /** The entrypoint in the address of the request; null: the body must name it. */
  readonly id: string | null;
  /** Ids that are in use. */
  readonly takenIds: ReadonlySet<string>;
  readonly now: Date;
  /** Limits the work for its key stores. */
  readonly budget: IterationBudget;
  /** Key stores that were read before. */
  readonly former: ReadStores | null;
}

export type ParsedSubscription =
  | {
      readonly kind: "valid";
      readonly subscription: Subscription;
      /** The request with all defaults applied. It contains secrets: show it through `maskConfig` only. */
      readonly entry: SubscriptionEntry;
      /** True: it may be stored only with its secrets encrypted. */
      readonly hasSecrets: boolean;
      readonly warnings: readonly string[];
      /** The key-derivation iterations of its key stores: now, and at each start. */
      readonly iterations: number;
      readonly stores: ReadStores;
    }
  /** It is valid except for its id. */
  | { readonly kind: "taken"; readonly id: string }
  /** All faults, at most a hundred; never empty. */
  | { readonly kind: "invalid"; readonly faults: readonly BodyFault[] };

export interface BodyFault {
  /** `configuration.callbackUrl`; empty: the body as a whole. */
  readonly path: string;
  readonly message: string;
}

const MAX_BYTES = 512 * 1024;
const MAX_DEPTH = 20;
const MAX_FAULTS = 100;
const MAX_PATH_LENGTH = 200;
const MAX_MESSAGE_LENGTH = 1000;
const INLINE_ONLY = "a subscription made by API takes inline values only";

/** The smallest valid file around one entry: `validate` takes whole files only. */
const FRAME = { endpoints: [{ name: "frame", type: "jetstream" }], entrypoints: [{ type: "webhook" }] };
const PLACE: Fault["path"] = ["subscriptions", 0];

/**
 * Parses a JSON body. Refuses references: a tenant must not read the environment or the disk. Rejects with a RelayError
 * only if the signal of `budget` aborts.
 */
export async function parseSubscription(
  value: unknown,
  { origin, id, takenIds, now, budget, former }: SubscriptionScope,
): Promise<ParsedSubscription> {
  const excess = findExcess(value);
  if (excess !== null) return { kind: "invalid", faults: [{ path: "", message: excess }] };
  const validation = validate({ ...FRAME, subscriptions: [withId(value, id)] });
  const isValid = validation.kind === "valid";
  const [sound] = (isValid ? validation.file : validation.sound).subscriptions ?? [];
  const file = { ...origin.file, subscriptions: [sound] };
  const context = withoutReferences(origin.context, now);
  const own = resolveSecrets({ subscriptions: [sound] }, context);
  const secrets: Secrets = {
    ...own,
    valueOf: (secret) => own.valueOf(secret) ?? origin.secrets.valueOf(secret),
  };
  const stores = await loadStores(file, { context, secrets, budget, former });
  const faults: readonly Fault[] = [
    ...(isValid ? [] : validation.faults),
    ...checkId(sound, id),
    ...checkExpressions(file, sound),
    ...own.faults.map(({ path }) => ({ path, message: INLINE_ONLY })),
    ...stores.faults.map(toRefusal),
    ...checkSubscriptions(file, { valueOf: secrets.valueOf }),
  ];
  const entry = isValid ? validation.file.subscriptions[0] : undefined;
  if (entry === undefined || faults.length > 0) return { kind: "invalid", faults: toBodyFaults(faults) };
  if (entry.id !== undefined && takenIds.has(entry.id)) return { kind: "taken", id: entry.id };
  const resolved = resolveEntry(withDeliverPolicy(entry), { origin, secrets, stores });
  return { ...resolved, iterations: budget.spent(), stores: stores.known };
}

function findExcess(value: unknown): string | null {
  if (isTooDeep(value)) return `nested deeper than ${MAX_DEPTH} levels`;
  const size = Buffer.byteLength(JSON.stringify(value ?? null), "utf8");
  return size > MAX_BYTES ? `found ${size} bytes, allowed: at most ${MAX_BYTES}` : null;
}

/** Goes level by level: on hostile input, recursion would overflow the stack. */
function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}

function withId(value: unknown, id: string | null): unknown {
  if (id === null || !isObject(value) || Object.hasOwn(value, "id")) return value;
  return { id, ...value };
}

/**
 * A context in which no reference can be followed, so that each becomes a fault. Reads of any other kind fail too: a new
 * way to read a file must not open the disk to tenants.
 */
function withoutReferences({ directory, hostName }: ConfigContext, now: Date): ConfigContext {
  const refuse = () => {
    throw new Error(INLINE_ONLY);
  };
  return { env: {}, directory, readFile: refuse, readBytes: refuse, now, hostName, withoutSecrets: false };
}

/** Rewords a fault about an unreadable reference for a request body. */
function toRefusal(fault: Fault): Fault {
  return fault.message.endsWith(INLINE_ONLY) ? { ...fault, message: INLINE_ONLY } : fault;
}

/** The id is required even for the first subscription of an entrypoint: others may follow. */
function checkId(subscription: SoundSubscription | undefined, id: string | null): Fault[] {
  if (subscription === undefined) return [];
  const path = [...PLACE, "id"];
  if (!("id" in subscription)) return [{ path, message: "missing" }];
  if (id === null || subscription.id === undefined || subscription.id === id) return [];
  return [{ path, message: "allowed: the id that the address names, or none" }];
}

/** Expressions cost the host's CPU time, so tenants may use them only where the operator allows it. */
function checkExpressions({ entrypoints }: SoundFile, subscription: SoundSubscription | undefined): Fault[] {
  const configuration = subscription?.configuration;
  const found = findEntrypoint(entrypoints ?? [], configuration?.entrypointId ?? "");
  if (configuration === undefined || found.kind !== "found" || found.value.allowExpressions === true)
    return [];
  return expressionPaths(deliverySettings(configuration)).map(([key = "", ...inner]) => ({
    path: [...PLACE, "configuration", ...deliveryPath(configuration, String(key)), ...inner],
    message: "expressions are not allowed by API here: the entrypoint has no allowExpressions",
  }));
}

function toBodyFaults(faults: readonly Fault[]): readonly BodyFault[] {
  return faults.slice(0, MAX_FAULTS).map(({ path, message, suggestion }) => ({
    path: cut(formatPath(path.slice(PLACE.length)), MAX_PATH_LENGTH),
    message: cut(toOwnPaths(describeFault(toInline({ message, suggestion }))), MAX_MESSAGE_LENGTH),
  }));
}

/** Drops the words about references, which a body may not contain. */
function toInline({ message, suggestion }: Pick<Fault, "message" | "suggestion">) {
  const isOfReference = suggestion?.includes('{ "env"') === true;
  return { message: toInlineMessage(message), suggestion: isOfReference ? null : suggestion };
}

/** Makes paths relative to the body, and names no other path of the config file. */
function toOwnPaths(message: string): string {
  return message
    .replaceAll(`${formatPath(PLACE)}.`, "")
    .replace(/move it to (entrypoints|endpoints)\[0\]/u, "it belongs in the config file: $1[]");
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** By default a subscription made by API starts with new messages. */
function withDeliverPolicy(entry: SubscriptionEntry): SubscriptionEntry {
  const { configuration } = entry;
  const { entrypointConfiguration: nested } = configuration;
  const deliverPolicy = "new" as const;
  return {
    ...entry,
    configuration:
      nested === undefined
        ? { deliverPolicy, ...configuration }
        : { ...configuration, entrypointConfiguration: { deliverPolicy, ...nested } },
  };
}

function resolveEntry(
  entry: SubscriptionEntry,
  { origin, secrets, stores }: { origin: ConfigOrigin; secrets: Secrets; stores: Stores },
): Omit<Extract<ParsedSubscription, { kind: "valid" }>, "iterations" | "stores"> {
  const { context } = origin;
  const file = { ...origin.file, subscriptions: [entry] };
  return {
    kind: "valid",
    subscription: resolveSubscription(file, { entry, scope: { context, secrets, stores }, origin: "api" }),
    entry,
    hasSecrets: holdsInlineSecret(entry),
    warnings: toBodyFaults(stores.warnings).map(describeIssue),
  };
}
