// Advises on an unknown key: where it belongs, or which key it misspells.

import type { GenericSchema } from "valibot";
import { configSchema } from "./file.ts";
import { formatPath, type Path, valueAt } from "./issue.ts";
import { isSameWord, nearestOf } from "./nearest.ts";
import { choicesOf, entriesOf, innerOf, shapeOf, wordOf } from "./unwrap.ts";
import { unitOf } from "./value-advice.ts";

/** The words of a text that may be shown because they cannot be secrets. */
export interface Words {
  /** Keys, and the values of keys with a fixed choice. */
  readonly known: ReadonlySet<string>;
  /** Keys whose values are numbers or flags, each with its unit; null: it has none. */
  readonly units: ReadonlyMap<string, string | null>;
}

/** The words that an excerpt of an invalid config may show: keys, values of fixed choices, and keys of plain numbers. */
export function schemaWords(): Words {
  const places = listKeys(configSchema);
  const isPlain = ({ entry }: KeyPlace) => /^(?:number|boolean)$/u.test(innerOf(entry).type);
  return {
    known: new Set(
      places.flatMap(({ key, entry, variant }) => [key, ...choicesOf(entry), variant?.word ?? key]),
    ),
    units: new Map(places.filter(isPlain).map(({ key, entry }) => [key, unitOf(entry)])),
  };
}

/** A key of the schema; `[]` stands for any index. */
interface KeyPlace {
  readonly parent: readonly string[];
  readonly key: string;
  readonly entry: GenericSchema;
  /** The variant that has this key; null: the key is not in a variant. */
  readonly variant: { readonly discriminator: string; readonly word: string } | null;
}

/** For each key of Relay, the names that other programs use for it. */
const OTHER_WORDS: Readonly<Record<string, readonly string[]>> = {
  callbackUrl: ["url", "uri", "callback", "target", "targetUrl", "webhookUrl", "destination", "endpoint"],
  servers: ["url", "urls", "server", "hosts", "brokers", "address"],
  channel: ["topic", "subject", "subjects", "channels", "filterSubject"],
  subjects: ["subject", "channel", "topics", "filter", "filterSubjects"],
  listen: ["port", "bind", "address"],
  dlq: ["deadLetterQueue", "deadLetters", "deadLetter", "deadLetterEndpoint"],
  maxAttempts: ["retries", "maxRetries", "attempts", "retryCount"],
  maxConcurrentConnections: ["concurrency", "maxInFlight", "maxConnections", "poolSize"],
  readTimeout: ["timeout", "requestTimeout", "responseTimeout"],
  initialDelaySeconds: ["delay", "backoff", "initialDelay"],
  ssl: ["tls"],
  tls: ["ssl"],
  trustStore: ["ca", "caFile", "caCert"],
  username: ["user", "login"],
  password: ["pass", "secret"],
  id: ["name"],
  name: ["id"],
  entrypointId: ["entrypoint"],
  entrypoints: ["entrypoint", "webhooks", "webhook", "routes"],
  subscriptions: ["consumers", "webhooks", "callbacks"],
  logs: ["log", "logging", "logger"],
  consumer: ["source"],
  deliverPolicy: ["startFrom", "start"],
};

const ALIASES: ReadonlySet<string> = new Set(["entrypointConfiguration", "consumerConfiguration"]);

/** Lists all keys that a file may have. */
function listKeys(schema: GenericSchema, parent: readonly string[] = []): readonly KeyPlace[] {
  const shape = shapeOf(schema);
  if (shape.kind === "list") return listKeys(shape.item, [...parent, "[]"]);
  const options = shape.kind === "variant" ? shape.options : [schema];
  return options.flatMap((option) =>
    Object.entries(entriesOf(option)).flatMap(([key, entry]) => {
      const variant =
        shape.kind === "variant"
          ? { discriminator: shape.discriminator, word: wordOf(option, shape.discriminator) }
          : null;
      // An alias has the keys of the object around it, which are listed already.
      const inner = ALIASES.has(key) ? [] : listKeys(entry, [...parent, key]);
      return [{ parent, key, entry, variant }].concat(inner);
    }),
  );
}

interface KeyScope {
  /** The keys that are allowed where the unknown one stands. */
  readonly known: readonly string[];
  /** True: the value of the unknown key fits this key, which is not set yet. */
  readonly takes: (key: string) => boolean;
  /** The one required key that is missing, if the value fits it; null: none, or several. */
  readonly missing: string | null;
  readonly root: unknown;
}

/** Advice for the unknown key at `path`; null: there is none. */
export function adviseKey(path: Path, { known, takes, missing, root }: KeyScope): string | null {
  const word = String(path.at(-1));
  const asked = { path, root, places: listKeys(configSchema) };
  const means = (candidate: string) =>
    OTHER_WORDS[candidate]?.some((other) => isSameWord(other, word)) === true;
  const near = nearestOf(word, known, 1);
  return (
    didYouMean(known.find((key) => isSameWord(key, word)) ?? null) ??
    didYouMean(near === null ? missing : takes(near) ? near : null) ??
    didYouMean(known.find(means) ?? null) ??
    moveTo(asked, (key) => isSameWord(key, word)) ??
    didYouMean(near ?? nearestOf(word, known)) ??
    moveTo(asked, means)
  );
}

function didYouMean(key: string | null): string | null {
  return key === null ? null : `did you mean "${key}"?`;
}

interface Asked {
  readonly path: Path;
  readonly root: unknown;
  readonly places: readonly KeyPlace[];
}

const MAX_NAMED = 2;
const COMMON: ReadonlySet<string> = new Set(["enabled", "id", "name", "path", "type"]);

function moveTo({ path, root, places }: Asked, isMeant: (key: string) => boolean): string | null {
  const parent = path.slice(0, -1);
  const pattern = parent.map((key) => (typeof key === "number" ? "[]" : key));
  const siblings = Object.values(Object(valueAt(root, parent)));
  const ranked = places
    .filter(({ key, parent }) => isMeant(key) && isReachable(pattern, parent))
    .map((place) => ({ place, steps: stepsBetween(pattern, place.parent) }));
  // Many objects have such a key: its name does not tell where it belongs.
  if (COMMON.has(String(path.at(-1)))) return null;
  const least = Math.min(...ranked.map(({ steps }) => steps));
  const nearest = ranked.filter(({ steps }) => steps === least).map(({ place }) => place);
  if (least === 0) return onlyWith(nearest);
  // `"type": "basic"` beside the key means that it belongs to `basic`, not to `token`.
  const named = nearest.filter((place) => siblings.includes(place.parent.at(-1)));
  const concrete = (named.length === 0 ? nearest : named).map((place) =>
    toConcrete([...place.parent, place.key], { path, root }),
  );
  const there = concrete.filter((target) => valueAt(root, target.slice(0, -1)) !== undefined);
  const targets = [...new Set((there.length === 0 ? concrete : there).map(formatPath))];
  if (targets.length === 0 || targets.length > (least > 1 ? 1 : MAX_NAMED)) return null;
  const [only] = there.length === 1 ? there : [];
  return only !== undefined && valueAt(root, only) !== undefined
    ? `it belongs in ${targets.join()}, which is set already: keep one of them`
    : `move it to ${targets.join(" or ")}`;
}

/** The parts that share keys about delivery: a key may have been put into the wrong one. */
const DELIVERY: ReadonlySet<string> = new Set(["endpoints", "entrypoints", "subscriptions"]);

/** True: a key at `from` may be meant for `to`. Not if that is another part of the file, or an item of a list inside. */
function isReachable(from: readonly string[], to: readonly string[]): boolean {
  const [part = "", other = ""] = [from[0], to[0]];
  const isPart =
    from.length === 0 || part === other || (DELIVERY.has(part) && (to.length === 0 || DELIVERY.has(other)));
  return isPart && !to.some((key, index) => key === "[]" && index > 1 && from[index] !== "[]");
}

/** Advice for a key that another variant of the same object has. */
function onlyWith(places: readonly KeyPlace[]): string | null {
  const variants = places.flatMap(({ variant }) => variant ?? []);
  const words = [...new Set(variants.map(({ word }) => `"${word}"`))];
  const [first] = variants;
  return first === undefined ? null : `it goes only with "${first.discriminator}": ${words.join(" or ")}`;
}

/** The distance in the tree of keys: up to the common parent, and down again. */
function stepsBetween(from: readonly string[], to: readonly string[]): number {
  let common = 0;
  while (common < from.length && from[common] === to[common]) common += 1;
  return from.length - common + (to.length - common);
}

/** Replaces each `[]` by the index in `path` while both agree, after that by the index that `indexIn` finds. */
function toConcrete(pattern: readonly string[], { path, root }: Pick<Asked, "path" | "root">): Path {
  const done: (string | number)[] = [];
  for (const key of pattern) {
    const isCommon = done.every((part, index) => part === path[index]);
    const index = isCommon ? path[done.length] : indexIn(done, { path, root });
    done.push(key === "[]" ? (typeof index === "number" ? index : 0) : key);
  }
  return done;
}

/** The index of the entrypoint that the subscription at `path` names; 0 in other lists. */
function indexIn(list: Path, { path, root }: Pick<Asked, "path" | "root">): number {
  const entries = valueAt(root, list);
  if (list[0] !== "entrypoints" || path[0] !== "subscriptions" || !Array.isArray(entries)) return 0;
  const name = valueAt(root, [...path.slice(0, 2), "configuration", "entrypointId"]);
  const index = entries.findIndex((entry) => (valueAt(entry, ["id"]) ?? valueAt(entry, ["type"])) === name);
  return Math.max(0, index);
}
