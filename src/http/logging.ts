// `/api/logging`: shows what is recorded of each entrypoint, and overrides it for a while.

import { Hono } from "hono";
import * as v from "valibot";
import { toLogging, toSampling } from "#config/resolve-record.ts";
import type { Logging, RecordSettings, Sampling } from "#delivery/record.ts";
import type { Overrides } from "#delivery-log/overrides.ts";
import {
  loggingBodySchema,
  loggingPageSchema,
  type LoggingView,
  loggingViewSchema,
  type SettingsView,
} from "#wire/logging.ts";
import { RelayError } from "#lib/errors.ts";
import type { KeptLogging } from "#registry/kept-logging.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { NOT_JSON, readJson } from "./body.ts";
import { describe, empty, json, type Operation } from "./operation.ts";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { type Problem, toFaultsProblem, toProblemResponse } from "./problem.ts";

export interface LoggingRoutesOptions {
  readonly entrypoints: readonly { readonly id: string; readonly recording: RecordSettings }[];
  readonly overrides: Pick<Overrides, "of" | "set" | "remove">;
  readonly keptLogging: () => Pick<KeptLogging, "set" | "remove">;
}

const MINUTE_MS = 60_000;
const NOT_FOUND: Problem = { status: 404, detail: "There is no such entrypoint" };

const LIST: Operation = {
  id: "listLogging",
  tag: "Deliveries",
  summary: "Lists what is recorded of each entrypoint",
  description: "The setting of the file, and the override of this relay, if there is one.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(loggingPageSchema, "A page of entrypoints")],
  problems: [400],
};
const OVERRIDE: Operation = {
  id: "overrideLogging",
  tag: "Deliveries",
  summary: "Records more or less of an entrypoint",
  description:
    "With `minutes` it holds in this relay only, and ends by itself or with a restart. Without, it is kept in the bucket for all relays, until it is removed.",
  access: "write",
  params: { entrypoint: "Id of the entrypoint" },
  body: { schema: loggingBodySchema, isRequired: true, description: "Left out: as the file says" },
  answers: [
    json(loggingViewSchema, "The entrypoint, with its override"),
    json(loggingViewSchema, "NATS is not available: it holds on this relay, which stores it later", {
      status: 202,
    }),
  ],
  problems: [400, 404, 409, 422],
};
const RESTORE: Operation = {
  id: "restoreLogging",
  tag: "Deliveries",
  summary: "Ends the override of an entrypoint, on all relays if it is kept",
  description: "From then on the setting of the file holds.",
  access: "write",
  params: { entrypoint: "Id of the entrypoint" },
  answers: [empty("The override is gone, or there was none")],
  problems: [404, 409],
};

export function createLoggingRoutes({
  entrypoints,
  overrides,
  keptLogging,
}: LoggingRoutesOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);
  const find = (id: string) => entrypoints.find((entrypoint) => entrypoint.id === id);

  async function refuseFault(answer: () => Promise<Response>): Promise<Response> {
    try {
      return await answer();
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      return refuse({ status: 409, detail: error.message });
    }
  }

  function toView({ id, recording }: LoggingRoutesOptions["entrypoints"][number]): LoggingView {
    const override = overrides.of(id);
    return {
      entrypoint: id,
      file: toSettingsView(recording),
      override:
        override === null
          ? null
          : { ...toSettingsView(override), until: override.until?.toISOString() ?? null },
    };
  }

  routes.get("/", describe(LIST), (context) => {
    const page = pageOf(entrypoints, {
      keyOf: ({ id }) => id,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({ items: page.items.map(toView), next: page.next });
  });

  routes.put("/:entrypoint", describe(OVERRIDE), async (context) => {
    const entrypoint = find(context.req.param("entrypoint"));
    if (entrypoint === undefined) return refuse(NOT_FOUND);
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const parsed = v.safeParse(loggingBodySchema, body);
    if (!parsed.success) return refuse(toFaultsProblem(422, parsed.issues));
    const { logging, sampling, minutes } = parsed.output;
    const settings = {
      logging: logging === undefined ? entrypoint.recording.logging : toLogging(logging),
      sampling: sampling === undefined ? entrypoint.recording.sampling : toSampling(sampling),
    };
    if (minutes !== undefined) {
      overrides.set(entrypoint.id, { ...settings, until: new Date(Date.now() + minutes * MINUTE_MS) });
      return context.json(toView(entrypoint));
    }
    return refuseFault(async () => {
      const isStored = await keptLogging().set(entrypoint.id, toSettingsView(settings));
      overrides.remove(entrypoint.id);
      return context.json(toView(entrypoint), isStored ? 200 : 202);
    });
  });

  routes.delete("/:entrypoint", describe(RESTORE), async (context) => {
    const entrypoint = find(context.req.param("entrypoint"));
    if (entrypoint === undefined) return refuse(NOT_FOUND);
    return refuseFault(async () => {
      await keptLogging().remove(entrypoint.id);
      overrides.remove(entrypoint.id);
      return context.body(null, 204);
    });
  });

  return routes;
}

/** As the file would say it. */
function toSettingsView({ logging, sampling }: RecordSettings): SettingsView {
  return { logging: toLoggingView(logging), sampling: toSamplingView(sampling) };
}

function toLoggingView(logging: Logging): SettingsView["logging"] {
  const { requestHeaders, requestBody, responseHeaders, responseBody } = logging;
  return {
    enabled: requestHeaders || requestBody || responseHeaders || responseBody,
    request: { headers: requestHeaders, payload: requestBody },
    response: { headers: responseHeaders, payload: responseBody },
  };
}

function toSamplingView(sampling: Sampling): SettingsView["sampling"] {
  switch (sampling.kind) {
    case "all":
      return { type: "ALL" };
    case "count":
      return { type: "COUNT", value: String(sampling.every) };
    case "probability":
      return { type: "PROBABILITY", value: toDecimal(sampling.share) };
    case "temporal":
      return { type: "TEMPORAL", value: toDuration(sampling.everyMs) };
    case "windowed-count":
      return { type: "WINDOWED_COUNT", value: `${sampling.count}/${toDuration(sampling.windowMs)}` };
  }
}

function toDuration(durationMs: number): string {
  return `PT${toDecimal(durationMs / 1000)}S`;
}

/** Without an exponent. */
function toDecimal(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/u, "");
}
