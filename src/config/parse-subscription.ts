// Parses a subscription made by API: an entry of the file's `subscriptions`, with inline values only.

import type { Subscription } from "#delivery/subscription.ts";
import type { IterationBudget } from "#keystore/budget.ts";
import { checkSubscriptions } from "./check-subscriptions.ts";
import { describeFault, describeIssue, type Fault, formatPath } from "./issue.ts";
import type { SoundSubscription } from "./references.ts";
import { holdsInlineSecret } from "./request-secrets.ts";
import type { ConfigOrigin } from "./resolve.ts";
import { resolveSubscription } from "./resolve-subscription.ts";
import type { SubscriptionEntry } from "./schema.ts";
import { toInlineMessage } from "./schema-secret.ts";
import { type ConfigContext, resolveSecrets, type Secrets } from "./secrets.ts";
import { loadStores, type ReadStores, type Stores } from "./stores.ts";
import { validate } from "./validate.ts";

export interface SubscriptionScope {
  readonly origin: ConfigOrigin;
  /** What the address of the request names; null: the body must. */
  readonly id: string | null;
  /** Ids that this subscription cannot have. */
  readonly takenIds: ReadonlySet<string>;
  readonly now: Date;
  /** Of its key stores. */
  readonly budget: IterationBudget;
  /** Key stores that were read before. */
  readonly former: ReadStores | null;
}

export type ParsedSubscription =
  | {
      readonly kind: "valid";
      readonly subscription: Subscription;
      /** What was asked for with every default applied; as it may be shown: `maskConfig`. */
      readonly entry: SubscriptionEntry;
      /** Whether it may be kept only where secrets are encrypted. */
      readonly hasSecrets: boolean;
      readonly warnings: readonly string[];
      /** What its key stores cost, here and again at each start. */
      readonly iterations: number;
      readonly stores: ReadStores;
    }
  /** It is valid, but for its id. */
  | { readonly kind: "taken"; readonly id: string }
  /** All at once, a hundred at most; never empty. */
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

/** As short a file as its schema takes, for the schema of an entry is a part of it. */
const FRAME = { endpoints: [{ name: "frame", type: "jetstream" }], entrypoints: [{ type: "webhook" }] };
const PLACE: Fault["path"] = ["subscriptions", 0];

/**
 * Parses a body of JSON; what it refers to by name is never looked up, neither in the environment nor on disk. Rejects
 * with a RelayError only if the signal of `budget` aborts.
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

/** Level by level, for recursion has no bound of its own. */
function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
    level = level.flatMap((item) => (isObject(item) ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}

function withId(value: unknown, id: string | null): unknown {
  if (id === null || !isObject(value) || Array.isArray(value) || Object.hasOwn(value, "id")) return value;
  return { id, ...value };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/**
 * A world in which no reference leads anywhere: each is found, and refused, as one that cannot be followed. Nothing is
 * taken over unnamed, for it might be another way to read a file.
 */
function withoutReferences({ directory, hostName }: ConfigContext, now: Date): ConfigContext {
  const refuse = () => {
    throw new Error(INLINE_ONLY);
  };
  return { env: {}, directory, readFile: refuse, readBytes: refuse, now, hostName, withoutSecrets: false };
}

/** What wanted to read a file says so in words that suit the file of the config. */
function toRefusal(fault: Fault): Fault {
  return fault.message.endsWith(INLINE_ONLY) ? { ...fault, message: INLINE_ONLY } : fault;
}

/** Beside others of its entrypoint it cannot do without an id, and there may be others tomorrow. */
function checkId(subscription: SoundSubscription | undefined, id: string | null): Fault[] {
  if (subscription === undefined) return [];
  const path = [...PLACE, "id"];
  if (!("id" in subscription)) return [{ path, message: "missing" }];
  if (id === null || subscription.id === undefined || subscription.id === id) return [];
  return [{ path, message: "allowed: the id that the address names, or none" }];
}

function toBodyFaults(faults: readonly Fault[]): readonly BodyFault[] {
  return faults.slice(0, MAX_FAULTS).map(({ path, message, suggestion }) => ({
    path: cut(formatPath(path.slice(PLACE.length)), MAX_PATH_LENGTH),
    message: cut(toOwnPaths(describeFault(toInline({ message, suggestion }))), MAX_MESSAGE_LENGTH),
  }));
}

/** Without what is said of references. */
function toInline({ message, suggestion }: Pick<Fault, "message" | "suggestion">) {
  const isOfReference = suggestion?.includes('{ "env"') === true;
  return { message: toInlineMessage(message), suggestion: isOfReference ? null : suggestion };
}

/** Paths begin in the body, and the rest of the frame stands for the config file. */
function toOwnPaths(message: string): string {
  return message
    .replaceAll(`${formatPath(PLACE)}.`, "")
    .replace(/move it to (entrypoints|endpoints)\[0\]/u, "it belongs in the config file: $1[]");
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** Whoever subscribes now does not ask for what was before. */
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
