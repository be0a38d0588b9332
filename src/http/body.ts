// Reads the body of a request, within a size and a time, and as JSON; and its query, by its schema.

import * as v from "valibot";
import type { ServerContext } from "./caller.ts";
import { type Problem, toFaultsProblem } from "./problem.ts";

export const NOT_JSON: Problem = { status: 400, detail: "The body is not JSON" };
/** Detail of a 422 whose `errors` name the faults. */
export const BODY_FAULTS = "The body has faults";

interface BodyLimits {
  readonly maxBytes: number;
  readonly withinMs: number;
}

type BodyResult =
  | { readonly kind: "read"; readonly body: Uint8Array }
  | { readonly kind: "refused"; readonly problem: Problem };

/** Closes the connection after a refusal, instead of reading the rest of the body. */
export async function readBody(request: Request, { maxBytes, withinMs }: BodyLimits): Promise<BodyResult> {
  const tooLarge = refuse(413, `The body is larger than ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) return tooLarge;
  const reader = request.body?.getReader();
  if (reader === undefined) return { kind: "read", body: new Uint8Array(0) };
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), withinMs);
  try {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const chunk = await Promise.race([reader.read(), late.promise]);
      if (chunk === "late") return refuse(408, `The body did not arrive within ${withinMs} ms`);
      if (chunk.done) return { kind: "read", body: Buffer.concat(chunks) };
      length += chunk.value.length;
      if (length > maxBytes) return tooLarge;
      chunks.push(chunk.value);
    }
  } catch {
    return refuse(400, "The body broke off");
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => {}); // Nobody reads what is left of it.
  }
}

function refuse(status: 400 | 408 | 413, detail: string): BodyResult {
  return { kind: "refused", problem: { status, detail, headers: { connection: "close" } } };
}

/** undefined: there is none that can be read. */
export async function readJson(context: ServerContext): Promise<unknown> {
  try {
    return (await context.req.json()) as unknown;
  } catch {
    return undefined;
  }
}

/** As `readJson`; an empty body is an empty object. */
export async function readOptionalJson(context: ServerContext): Promise<unknown> {
  return (await context.req.text()).trim() === "" ? {} : readJson(context);
}

type Parsed<T> =
  | { readonly kind: "read"; readonly query: T }
  | { readonly kind: "refused"; readonly problem: Problem };

/** A parameter that the schema takes once is refused if it is given twice. */
export function readQuery<const Entries extends v.ObjectEntries>(
  context: ServerContext,
  schema: v.GenericSchema<unknown, v.InferOutput<v.ObjectSchema<Entries, undefined>>> & {
    readonly entries: Entries;
  },
): Parsed<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const given = Object.entries(context.req.queries()).map(([name, values]) => {
    const entry = Object.hasOwn(schema.entries, name) ? schema.entries[name] : undefined;
    return [
      name,
      entry !== undefined && !takesList(entry) && values.length === 1 ? values[0] : values,
    ] as const;
  });
  const parsed = v.safeParse(schema, Object.fromEntries(given));
  return parsed.success
    ? { kind: "read", query: parsed.output }
    : { kind: "refused", problem: toFaultsProblem(400, parsed.issues) };
}

function takesList(entry: v.ObjectEntries[string]): boolean {
  return "wrapped" in entry && v.is(v.object({ type: v.literal("array") }), entry.wrapped);
}
