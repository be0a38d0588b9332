// `relay complete`, which completions of shells call: prints the ids of the running relay, quickly, and never a fault.

import * as v from "valibot";
import { createClient } from "./client.ts";
import { findRelay } from "./find-relay.ts";
import type { Output } from "./output.ts";

/** What can be completed, each with its list in the API and the key that holds what is typed. */
const LISTS: Readonly<Record<string, readonly [path: string, key: string]>> = {
  subscriptions: ["subscriptions?limit=1000", "id"],
  entrypoints: ["subscriptions?limit=1000", "entrypoint"],
  applications: ["subscriptions?limit=1000", "application"],
  letters: ["dead-letters?limit=100", "id"],
  deliveries: ["deliveries?limit=100", "id"],
  replays: ["replays?limit=100", "id"],
  hosts: ["fleet", "host"],
};

interface CompleteOptions {
  readonly kind: string;
  readonly named: string | undefined;
  readonly url: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stopping: AbortSignal;
}

/** Somebody waits with a finger on the key. */
const LIMIT_MS = 1500;
const CONNECT_MS = 300;
/** Other characters would be read by the shell. */
const SAFE = /^[\w.~@%+-]{1,256}$/u;
const items = v.object({ items: v.array(v.record(v.string(), v.unknown())) });

/** Resolves with 0, whatever happens. */
export async function runComplete(options: CompleteOptions, io: Output): Promise<number> {
  const found = await listValues(options).catch(() => []);
  const distinct = [...new Set(found)].filter((text) => SAFE.test(text));
  if (distinct.length > 0) io.stdout(`${distinct.join("\n")}\n`);
  return 0;
}

async function listValues({ kind, stopping, ...whereabouts }: CompleteOptions): Promise<readonly string[]> {
  const list = Object.hasOwn(LISTS, kind) ? LISTS[kind] : undefined;
  if (list === undefined) return [];
  const [path, key] = list;
  const place = await findRelay({ ...whereabouts, connectMs: CONNECT_MS });
  const client = createClient(place, AbortSignal.any([stopping, AbortSignal.timeout(LIMIT_MS)]));
  const answer = await client.ask("GET", `api/${path}`);
  if (answer.kind === "refused") return [];
  return v
    .parse(items, answer.value)
    .items.flatMap(({ [key]: value }) => (typeof value === "string" ? [value] : []));
}
