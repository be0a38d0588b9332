// The HTTP API of a running relay, as a program calls it that has read its document: every answer is held against it.

import { isValid } from "../schema/json-schema-validator.ts";

type Json = Readonly<Record<string, unknown>>;

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Null: there was none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests say themselves what they expect.
  readonly body: any;
}

export interface CallOptions {
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `GET`, `POST`, … of a path below the relay's URL. Throws where the answer is not as the document says. */
export type Api = (method: string, path: string, options?: CallOptions) => Promise<ApiAnswer>;

export interface ApiOptions {
  /** Sent with each call. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Path of the control socket, which is called instead. */
  readonly socket?: string;
  /** PEM of who signed the certificate of the relay. */
  readonly ca?: string;
  readonly contextPaths?: readonly string[];
}

export async function openApi(url: string, options: ApiOptions = {}): Promise<Api> {
  const { headers: common = {}, socket, ca, contextPaths = ["/webhook"] } = options;

  async function send(method: string, path: string, { body, headers }: CallOptions = {}) {
    const type = body === undefined ? {} : { "content-type": "application/json" };
    return fetch(`${url}${path}`, {
      method,
      headers: { ...type, ...common, ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(socket === undefined ? {} : { unix: socket }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
  }

  const document = withoutFormats(await (await send("GET", "/openapi.json")).text());
  const paths = at(document, "paths") ?? {};
  return async (method, path, call) => {
    const response = await send(method, path, call);
    const text = await response.text();
    const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const body: unknown = type.endsWith("json") ? JSON.parse(text) : text === "" ? null : text;
    const place = { method: method.toLowerCase(), path: toTemplate(path, { paths, contextPaths }) };
    check(document, { ...place, status: response.status, type, body });
    return { status: response.status, headers: response.headers, body };
  };
}

/** The validator knows no formats. */
function withoutFormats(text: string): Json {
  return JSON.parse(text, (key, value: unknown) =>
    key === "format" && typeof value === "string" ? undefined : value,
  ) as Json;
}

/** As the document has it: the path itself, or the one whose `{parameters}` stand for what is in it. */
function toTemplate(path: string, { paths, contextPaths }: { paths: Json; contextPaths: readonly string[] }) {
  const [bare = ""] = path.split("?");
  const below = contextPaths.find((contextPath) => bare.startsWith(`${contextPath}/`));
  const generic = below === undefined ? bare : bare.replace(below, "/{contextPath}");
  if (generic in paths) return generic;
  const segments = generic.split("/");
  const isTemplate = (template: string) => {
    const parts = template.split("/");
    return (
      parts.length === segments.length &&
      parts.every((part, index) => part === segments[index] || /^\{(?!contextPath)/u.test(part))
    );
  };
  return Object.keys(paths).find(isTemplate) ?? generic;
}

interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
}

function check(document: Json, { method, path, status, type, body }: Answered): void {
  const name = `${method} ${path} with ${status} ${type}`;
  const known = at(document, "paths", path, method, "responses");
  const answers =
    known ?? (status >= 400 ? { default: at(document, "components", "responses", "Problem") } : {});
  const answer = answers[String(status)] ?? (status >= 400 ? answers["default"] : undefined);
  if (answer === undefined) throw new Error(`Not in the document: ${name}`);
  const described = typeof (answer as Json)["$ref"] === "string" ? follow(document, answer as Json) : answer;
  const content = at(described as Json, "content");
  if (content === undefined && body === null) return;
  const medium = content === undefined ? undefined : at(content, type);
  if (medium === undefined) throw new Error(`Not in the document: ${name}`);
  const schema = at(medium, "schema");
  if (schema !== undefined && !isValid(body, schema, document)) {
    throw new Error(`Not as the document says: ${name}: ${JSON.stringify(body)}`);
  }
}

function follow(document: Json, { $ref }: Json): Json {
  return at(document, ...String($ref).replace("#/", "").split("/")) ?? {};
}

function at(from: Json, ...keys: readonly string[]): Json | undefined {
  return keys.reduce<Json | undefined>((found, key) => found?.[key] as Json | undefined, from);
}
