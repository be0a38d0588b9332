// Checks the settings that entrypoints and subscriptions share: URL, headers, retry delays.

import { isAmbiguous, parseResponseKey, RESPONSE_KEY } from "#delivery/responses.ts";
import type { Fault, Path } from "#schema/issue.ts";
import type { Secret } from "#schema/secret.ts";
import type { Sound } from "#schema/validate.ts";
import { adviseVariable } from "#schema/variables.ts";

export interface CallbackScope {
  readonly valueOf: (secret: Secret) => string | undefined;
}

interface Delays {
  readonly retryOption?: string | undefined;
  readonly strategy?: string | undefined;
  readonly initialDelaySeconds?: number | undefined;
  readonly maxDelaySeconds?: number | undefined;
}

interface CallbackPart {
  readonly callbackUrl?: Secret | undefined;
  readonly headers?: readonly (Sound<{ name: string; value: Secret }> | undefined)[] | undefined;
  readonly retry?: Delays | undefined;
}

type ResponsesPart = Readonly<Record<string, unknown>>;

/** Headers that belong to the connection or to the framing of the request. */
const REFUSED_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Servers refuse longer ones; RFC 9110, 4.1 recommends at least 8000. */
const MAX_URL_LENGTH = 8192;
/** Relay masks each value of the query in answers: this bounds that search. */
const MAX_PARAMETERS = 100;

/** A field value by RFC 9110, 5.5. */
export const HEADER_VALUE = /^[\t\x20-\x7E\x80-\xFF]*$/;

export function checkCallback(
  part: CallbackPart,
  { pathOf, scope }: { pathOf: (key: string) => Path; scope: CallbackScope },
): Fault[] {
  const url = part.callbackUrl === undefined ? undefined : scope.valueOf(part.callbackUrl);
  return [
    ...(url === undefined ? [] : checkUrl(url, pathOf("callbackUrl"))),
    ...checkHeaders(part.headers ?? [], { path: pathOf("headers"), scope }),
    ...(part.retry === undefined ? [] : checkDelays(part.retry, pathOf("retry"))),
  ];
}

/** Checks one map of `responses`. `shared`: the entrypoint's map, into which `own` is merged. */
export function checkResponses(
  own: ResponsesPart | undefined,
  { shared = {}, path }: { shared?: ResponsesPart | undefined; path: Path },
): Fault[] {
  const keys = Object.keys(own ?? {});
  const others = Object.keys(shared).filter((key) => !keys.includes(key));
  return keys.flatMap((key, index) => {
    const span = parseResponseKey(key);
    if (span === null)
      return RESPONSE_KEY.test(key)
        ? [{ path: [...path, key], message: "allowed: a range that begins before it ends" }]
        : [];
    const other = [...others, ...keys.slice(0, index)].find((candidate) => {
      const known = parseResponseKey(candidate);
      return known !== null && isAmbiguous(span, known);
    });
    if (other === undefined) return [];
    const message = `overlaps "${other}"${others.includes(other) ? " of the entrypoint" : ""}: allowed are ranges apart, or one within the other`;
    return [{ path: [...path, key], message }];
  });
}

/** The names of all headers that the config sets, including the one that `auth` sets. */
export function headerNames({
  headers = [],
  auth,
}: Pick<CallbackPart, "headers"> & { auth?: object | undefined }): string[] {
  const names = headers.flatMap((header) => header?.name ?? []);
  const isNone = auth === undefined || ("type" in auth && auth.type === "none");
  return isNone ? names : [...names, "authorization"];
}

/** Checks a URL that Relay calls. The message contains no part of the URL, because it may be a secret. */
export function checkUrl(url: string, path: Path): Fault[] {
  if (!/^https?:\/\//iu.test(url)) {
    const suggestion = adviseVariable(url, { isReferable: true }) ?? adviseScheme(url);
    return [{ path, message: "allowed: a URL that begins with http:// or https://", suggestion }];
  }
  // In a URL without a host, the parser takes the first segment of the path for the host.
  if (!URL.canParse(url) || !/^https?:\/\/[^/\\?#]/iu.test(url) || /[\s\p{Cc}]/u.test(url)) {
    const suggestion = adviseVariable(url, { isReferable: true });
    return [
      { path, message: "allowed: a URL with a host, a port up to 65535, and without blanks", suggestion },
    ];
  }
  const { username, password, port, searchParams } = new URL(url);
  if (port === "0") return [{ path, message: "found the port 0, allowed: 1 to 65535" }];
  if (url.length > MAX_URL_LENGTH) {
    return [{ path, message: `found ${url.length} characters, allowed: at most ${MAX_URL_LENGTH}` }];
  }
  if (searchParams.size > MAX_PARAMETERS) {
    return [{ path, message: `found ${searchParams.size} parameters, allowed: at most ${MAX_PARAMETERS}` }];
  }
  if (username === "" && password === "") return [];
  const suggestion =
    'write "auth": { "type": "basic", "basic": { "username": …, "password": … } } in its stead';
  return [{ path, message: "user and password in a URL are not allowed: use auth", suggestion }];
}

function adviseScheme(url: string): string | null {
  if (/^[a-z]+:\/\//iu.test(url)) return null;
  return /^\/?[\w.-]+(?::\d+)?(?:\/|$)/u.test(url) ? "write http:// or https:// before the host" : null;
}

function checkHeaders(
  headers: NonNullable<CallbackPart["headers"]>,
  { path, scope }: { path: Path; scope: CallbackScope },
): Fault[] {
  const seen = new Set<string>();
  return headers.flatMap((header, index) => {
    const faults: Fault[] = [];
    const name = header?.name?.toLowerCase();
    if (name !== undefined && REFUSED_HEADERS.has(name)) {
      faults.push({
        path: [...path, index, "name"],
        message: `${header?.name} is set by Relay itself`,
        suggestion: "leave it out",
      });
    }
    if (name !== undefined && seen.has(name)) {
      faults.push({ path: [...path, index, "name"], message: `${header?.name} is listed twice` });
    }
    if (name !== undefined) seen.add(name);
    const value = header?.value === undefined ? undefined : scope.valueOf(header.value);
    if (value !== undefined && !HEADER_VALUE.test(value)) {
      const message = "allowed: Latin-1 characters without line breaks and other control characters";
      faults.push({ path: [...path, index, "value"], message });
    }
    return faults;
  });
}

export function checkDelays(delays: Delays, path: Path): Fault[] {
  const { initialDelaySeconds: initial, maxDelaySeconds: max } = delays;
  if (initial === undefined || max === undefined || initial <= max) return [];
  const message = `found ${initial}, allowed: at most maxDelaySeconds, which is ${max}`;
  return [{ path: [...path, "initialDelaySeconds"], message }];
}
