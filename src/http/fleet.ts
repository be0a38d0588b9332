// `/api/fleet`: the relays of the NATS account, and the API of each of them.

import { Hono } from "hono";
import { type FleetClient, toFleetView } from "#fleet/client.ts";
import { RelayError } from "#lib/errors.ts";
import { fleetViewSchema } from "#wire/fleet.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { describe, json, type Operation } from "./operation.ts";
import { type Problem, toProblemResponse } from "./problem.ts";

export interface FleetRoutesOptions {
  /** Null: `fleet` is not enabled. */
  readonly fleet: () => FleetClient | null;
}

const LIST: Operation = {
  id: "listFleet",
  tag: "Fleet",
  summary: "Lists the relays of the NATS account that have `fleet` enabled",
  description:
    "It waits about a second for their answers. Relays that are not ready come first. " +
    "`/api/fleet/edge-7/api/status` is `/api/status` of the relay on edge-7, and so is each other route, with any method.",
  access: "read",
  answers: [json(fleetViewSchema, "The relays that answered")],
  problems: [404, 503],
};
const OFF: Problem = { status: 404, detail: 'This relay has no "fleet": { "enabled": true }' };
const LIMIT_MS = 30_000;
/** Of a request, those that mean something to the other relay. */
const PASSED = ["accept", "content-type", "if-match", "if-none-match", "last-event-id"];

export function createFleetRoutes({ fleet }: FleetRoutesOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();

  routes.get("/", describe(LIST), async (context) => {
    const client = fleet();
    if (client === null) return toProblemResponse(OFF);
    try {
      return context.json(toFleetView(await client.list(context.req.raw.signal)));
    } catch (error) {
      return toFault(error);
    }
  });

  const proxy = async (context: ServerContext) => {
    const client = fleet();
    if (client === null) return toProblemResponse(OFF);
    const [, host = "", rest = ""] =
      /\/api\/fleet\/([A-Za-z0-9._-]{1,128})(\/.*)$/u.exec(context.req.path) ?? [];
    // A relay asks others itself: through one more there would be no end.
    if (host === "" || /^\/api\/fleet(?:\/|$)/u.test(rest)) return toProblemResponse({ status: 404 });
    const { raw } = context.req;
    const { search } = new URL(raw.url);
    try {
      return await client.ask(host, {
        method: raw.method,
        path: `${rest}${search}`,
        headers: passedOf(raw.headers),
        body: raw.method === "GET" || raw.method === "HEAD" ? null : new Uint8Array(await raw.arrayBuffer()),
        signal: raw.signal,
        limitMs: LIMIT_MS,
      });
    } catch (error) {
      return toFault(error);
    }
  };
  routes.all("/:host/*", proxy);
  return routes;
}

function passedOf(headers: Headers): Readonly<Record<string, string>> {
  return Object.fromEntries(
    PASSED.flatMap((name) => {
      const value = headers.get(name);
      return value === null || !/^[\t\x20-\x7E]{0,4096}$/u.test(value) ? [] : [[name, value]];
    }),
  );
}

function toFault(error: unknown): Response {
  if (!(error instanceof RelayError)) throw error;
  return toProblemResponse({ status: 503, detail: error.message });
}
