// `POST /api/reload`: reads the config file again, and takes it whole or not at all.

import { Hono } from "hono";
import { type Reloaded, reloadSchema } from "#wire/status.ts";
import { describe, json, type Operation } from "./operation.ts";
import type { ServerEnv } from "./caller.ts";
import { toProblemResponse } from "./problem.ts";

export type ReloadOutcome =
  /** `changes`: a line for each thing that changed; empty: nothing did. */
  | { readonly kind: "applied"; readonly changes: readonly string[]; readonly warnings: readonly string[] }
  /** The running config stays active. */
  | { readonly kind: "refused"; readonly report: string };

export type Reload = () => Promise<ReloadOutcome>;

interface ReloadOptions {
  readonly reload: Reload;
  /** RFC 3339. */
  readonly loadedAt: () => string;
}

const RELOAD: Operation = {
  id: "reload",
  tag: "Relay",
  summary: "Reads the config file again",
  description:
    "The file is taken whole. If it has faults, or needs a restart, it is refused and nothing changes.",
  access: "write",
  answers: [json(reloadSchema, "The config of the file runs")],
  problems: [422],
};

export function createReload({ reload, loadedAt }: ReloadOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.post("/", describe(RELOAD), async (context) => {
    const outcome = await reload();
    if (outcome.kind === "refused") return toProblemResponse({ status: 422, detail: outcome.report });
    const { changes, warnings } = outcome;
    return context.json({
      changes: [...changes],
      warnings: [...warnings],
      loadedAt: loadedAt(),
    } satisfies Reloaded);
  });
  return routes;
}
