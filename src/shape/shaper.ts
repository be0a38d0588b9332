// Selects and shapes the messages of one subscription: the filter, the transform, the format.

import { headerOf } from "#delivery/header.ts";
import { type Message, toNatsTimestamp, toWebhookId } from "#delivery/message.ts";
import type { RequestParts, ShapeSettings } from "#delivery/shape.ts";
import { createLimiter } from "#lib/limiter.ts";
import { sleep } from "#lib/sleep.ts";
import {
  type CloudEvent,
  fillIn,
  toUriReference,
  readEvent,
  toBinary,
  toStructured,
} from "./cloud-events.ts";
import { toErrorText } from "./error-text.ts";
import { compile, type Expression } from "./expression.ts";
import { type Input, type Surroundings, toInput } from "./input.ts";
import { MAX_TEXT } from "./meter.ts";
import {
  InvalidPart,
  type ShapedBody,
  toBody,
  toHeaderValue,
  toMethod,
  toPath,
  toQueryText,
  toScalar,
} from "./request.ts";

type Selection =
  | { readonly kind: "selected" }
  | { readonly kind: "filtered" }
  | { readonly kind: "failed"; readonly error: string }
  /** The signal aborted. */
  | { readonly kind: "aborted" };

type Shaping =
  | { readonly kind: "shaped"; readonly parts: RequestParts }
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "aborted" };

export interface Shaper {
  /** Null: every message is selected. Never rejects. */
  readonly select: ((message: Message, options: ShapeOptions) => Promise<Selection>) | null;
  /** Null: messages are sent as they are. Never rejects. */
  readonly shape: ((message: Message, options: ShapeOptions) => Promise<Shaping>) | null;
}

interface ShapeOptions {
  /** 1 is the first. */
  readonly attempt: number;
  readonly signal: AbortSignal;
}

/** After an evaluation that took more than it may, those of its subscription pause: others have the time. */
const PAUSE_MS = 200;

/** The signal aborted while an expression waited. */
class Aborted extends Error {}

type Run = (part: string, expression: Expression) => Promise<unknown>;

/** Throws if an expression has a fault: the config was checked before. */
export function createShaper(settings: ShapeSettings, about: Surroundings): Shaper {
  const filter = settings.filter === null ? null : toExpression(settings.filter);
  const steps = compileSteps(settings);
  const line = createLimiter(1);

  function runner(input: Input, signal: AbortSignal): Run {
    return async (part, expression) => {
      const result = await expression.evaluate(() => input, signal);
      if (result.kind === "value") return result.value;
      if (result.kind === "aborted") throw new Aborted();
      if (result.isBound && !(await sleep(PAUSE_MS, signal))) throw new Aborted();
      throw new InvalidPart(`${part}: ${result.error}`);
    };
  }

  /** One message of the subscription at a time: the evaluations of others come in between. */
  async function inTurn<Result>(
    { signal }: ShapeOptions,
    work: () => Promise<Result>,
  ): Promise<Result | { readonly kind: "failed"; readonly error: string } | { readonly kind: "aborted" }> {
    if (!line.tryAcquire() && !(await line.acquire(signal))) return { kind: "aborted" };
    try {
      return await work();
    } catch (error) {
      return error instanceof Aborted ? { kind: "aborted" } : { kind: "failed", error: toErrorText(error) };
    } finally {
      line.release();
    }
  }

  const toRun = (message: Message, { attempt, signal }: ShapeOptions) => {
    const input = toInput(message, { attempt, about });
    return { input, run: runner(input, signal) };
  };

  return {
    select:
      filter === null
        ? null
        : (message, options) =>
            inTurn(options, async (): Promise<Selection> => {
              const isWanted = (await toRun(message, options).run("filter", filter)) === true;
              return { kind: isWanted ? "selected" : "filtered" };
            }),
    shape:
      steps === null
        ? null
        : (message, options) =>
            inTurn(options, async (): Promise<Shaping> => {
              const parts = await toParts(message, { steps, ...toRun(message, options) });
              return { kind: "shaped", parts };
            }),
  };
}

interface Steps {
  readonly body: Expression | null;
  readonly path: Expression | null;
  readonly query: Expression | null;
  readonly method: Expression | null;
  readonly headers: readonly (readonly [name: string, value: Expression])[];
  readonly format: ShapeSettings["format"];
  readonly source: string | Expression | null;
  readonly type: string | Expression | null;
}

/** Null: there is nothing to do. */
function compileSteps({
  body,
  path,
  query,
  method,
  headers,
  format,
  source,
  type,
}: ShapeSettings): Steps | null {
  const texts = [body, path, query, method];
  if (format === "raw" && headers.length === 0 && texts.every((text) => text === null)) return null;
  const orNull = (text: string | null) => (text === null ? null : toExpression(text));
  const orText = (text: string | null) =>
    text?.startsWith("=") === true ? toExpression(text.slice(1)) : text;
  return {
    body: orNull(body),
    path: orNull(path),
    query: orNull(query),
    method: orNull(method),
    headers: headers.map(([name, value]) => [name, toExpression(value)]),
    format,
    source: orText(source),
    type: orText(type),
  };
}

function toExpression(text: string): Expression {
  const compiled = compile(text);
  if (compiled.kind === "faulty") throw new Error(`Invalid expression: ${compiled.fault.message}`);
  return compiled.expression;
}

interface Work {
  readonly steps: Steps;
  readonly input: Input;
  readonly run: Run;
}

async function toParts(message: Message, work: Work): Promise<RequestParts> {
  const { steps, run } = work;
  const yielded = async (part: string, expression: Expression | null) =>
    expression === null ? undefined : run(part, expression);
  const path = steps.path === null ? "" : toPath(await run("path", steps.path));
  const query = toQueryText(await yielded("query", steps.query));
  const method = toMethod(await yielded("method", steps.method));
  const headers: (readonly [string, string | null])[] = [];
  for (const [name, value] of steps.headers) {
    headers.push([name, toHeaderValue(await run(`header ${name}`, value), name)]);
  }
  const shaped = await shapeBody(message, work);
  const formatted = await format(message, shaped, work);
  return { path, query, method, headers: [...formatted.headers, ...headers], body: formatted.body };
}

async function shapeBody(message: Message, { steps, input, run }: Work): Promise<ShapedBody> {
  const unchanged: ShapedBody = { bytes: message.body, contentType: null };
  if (steps.body === null) return unchanged;
  const value = await run("body", steps.body);
  const isReadable = value !== undefined && message.body.byteLength <= MAX_TEXT;
  const own = isReadable ? [input.body, input.text].filter((known) => known !== undefined) : [];
  return toBody(value, { bytes: message.body, own });
}

async function format(
  message: Message,
  shaped: ShapedBody,
  { steps, run }: Work,
): Promise<Pick<RequestParts, "headers" | "body">> {
  const isOwn = shaped.bytes === message.body;
  if (steps.format === "raw") {
    return { headers: isOwn ? [] : toContentHeaders(message, shaped.contentType), body: shaped.bytes };
  }
  const attribute = async (name: string, value: string | Expression) => {
    const text = typeof value === "string" ? value : toScalar(await run(`cloudEvents.${name}`, value), name);
    if (text === "") throw new InvalidPart(`cloudEvents.${name}: it is empty`);
    return text;
  };
  const known = readEvent(message);
  const defaults: CloudEvent = {
    attributes: new Map([
      ["specversion", "1.0"],
      ["id", toWebhookId(message)],
      ["source", toUriReference(await attribute("source", steps.source ?? `/${message.stream}`))],
      ["type", await attribute("type", steps.type ?? message.subject)],
      ["time", toNatsTimestamp(message.timestampNanos)],
    ]),
    data: message.body,
    contentType: contentTypeOf(message),
  };
  const event = fillIn(known, defaults);
  const changed = isOwn ? event : { ...event, data: shaped.bytes, contentType: shaped.contentType };
  return steps.format === "cloudevents-binary" ? toBinary(changed, message) : toStructured(changed, message);
}

/** Those of the message tell of its own body. */
function toContentHeaders({ headers }: Message, contentType: string | null): RequestParts["headers"] {
  const own = headers.filter(([name]) => /^content-(?:type|encoding|language|md5|digest)$/iu.test(name));
  return [
    ...own.map(([name]) => [name, null] as const),
    ...(contentType === null ? [] : [["Content-Type", contentType] as const]),
  ];
}

/** As it is sent without a format. */
function contentTypeOf({ headers }: Message): string {
  return headerOf(headers, "content-type") ?? "application/json";
}
