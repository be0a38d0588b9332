// Resolves `logging`, `sampling` and the limits of the delivery log to delivery's types.

import * as v from "valibot";
import type { Logging, RecordSettings, Sampling } from "#delivery/record.ts";
import type { ConfigFile } from "#schema/file.ts";
import { keptSchema, samplingSchema } from "#schema/record.ts";

const DAY_MS = 86_400_000;
const UNITS_MS = [DAY_MS, 3_600_000, 60_000, 1000] as const;

export function toLogging(logging: v.InferOutput<typeof keptSchema>): Logging {
  const { enabled, request, response } = logging;
  return {
    requestHeaders: enabled && request.headers,
    requestBody: enabled && request.payload,
    responseHeaders: enabled && response.headers,
    responseBody: enabled && response.payload,
  };
}

export function toSampling(sampling: v.InferOutput<typeof samplingSchema>): Sampling {
  switch (sampling.type) {
    case "ALL":
      return { kind: "all" };
    case "COUNT":
      return { kind: "count", every: Number(sampling.value) };
    case "PROBABILITY":
      return { kind: "probability", share: Number(sampling.value) };
    case "TEMPORAL":
      return { kind: "temporal", everyMs: toMilliseconds(sampling.value) };
    case "WINDOWED_COUNT": {
      const [count = "", duration = ""] = sampling.value.split("/");
      return { kind: "windowed-count", count: Number(count), windowMs: toMilliseconds(duration) };
    }
  }
}

const settings = v.object({ logging: keptSchema, sampling: samplingSchema });

/** `logging` and `sampling` in the form of the config file. */
export type RecordSettingsEntry = v.InferInput<typeof settings>;

/** null: the value does not fit the schema. */
export function parseRecordSettings(value: unknown): RecordSettings | null {
  const parsed = v.safeParse(settings, value);
  if (!parsed.success) return null;
  return { logging: toLogging(parsed.output.logging), sampling: toSampling(parsed.output.sampling) };
}

export function toLogBounds({ maxAgeDays, maxBytes, publish }: ConfigFile["deliveryLog"]) {
  return { maxAgeMs: maxAgeDays * DAY_MS, maxBytes, publishSubject: publish?.subject ?? null };
}

/** Converts an ISO 8601 duration of days, hours, minutes and seconds. The schema has checked its form. */
function toMilliseconds(duration: string): number {
  const [, ...amounts] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/u.exec(duration) ?? [];
  return UNITS_MS.reduce((sum, unitMs, index) => sum + unitMs * Number(amounts[index] ?? 0), 0);
}
