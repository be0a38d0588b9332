// What is allowed but probably not meant, or good to know.

import { isOrdered } from "#delivery/subscription.ts";
import { isLoopback, parseListen } from "./check-host.ts";
import { formatPath, type Path } from "./issue.ts";
import { holdsAnySecret } from "./request-secrets.ts";
import type { ConfigFile } from "./schema.ts";
import type { Secrets } from "./secrets.ts";

/** `value` is the file as it is written: a default is nothing to warn about. */
export function listWarnings(
  file: ConfigFile,
  { value, secrets }: { value: unknown; secrets: Secrets },
): readonly string[] {
  return [
    ...serverWarnings(file.server),
    ...tokenWarnings(file.server, secrets),
    ...file.entrypoints.flatMap(({ shareHeaders, configuration: { headers } }, index) =>
      shareHeaders && holdsAnySecret(headers)
        ? [
            `${formatPath(["entrypoints", index, "shareHeaders"])}: configuration.headers holds secrets, ` +
              "and whoever makes a subscription by API reads them at a callback of their own",
          ]
        : [],
    ),
    ...file.endpoints.flatMap(({ producer }, index) => {
      if (producer === undefined || producer.create) return [];
      return (["maxAgeSeconds", "maxBytes", "replicas"] as const)
        .map((key) => ["endpoints", index, "producer", key])
        .filter((path) => isWritten(value, path))
        .map((path) => `${formatPath(path)} does nothing without "create": true`);
    }),
    ...file.entrypoints.flatMap(({ configuration: { http } }, index) =>
      http.readTimeout < http.connectTimeout
        ? [
            `${formatPath(["entrypoints", index, "configuration", "http", "readTimeout"])}: it is ${http.readTimeout} and ` +
              `counts the connecting too, so the connectTimeout of ${http.connectTimeout} is never reached`,
          ]
        : [],
    ),
    ...file.entrypoints.flatMap(({ qos }, index) => {
      const limit = ["entrypoints", index, "configuration", "http", "maxConcurrentConnections"];
      const written = at(value, limit);
      return [
        ...(isOrdered(qos) && typeof written === "number" && written > 1
          ? [`${formatPath(limit)} is taken as 1 under ${qos}`]
          : []),
        ...(qos === "AT_MOST_ONCE"
          ? [
              `${formatPath(["entrypoints", index, "qos"])}: AT_MOST_ONCE holds for one relay only; ` +
                "where several share a subscription, the receiver must check webhook-id",
            ]
          : []),
      ];
    }),
  ];
}

/** What subscriptions made by API do not get; no fault, so it is no warning at each start. */
export function listUnshared({ entrypoints }: Pick<ConfigFile, "entrypoints">): readonly string[] {
  return entrypoints.flatMap(({ shareHeaders, configuration: { headers = [] } }, index) =>
    shareHeaders || headers.length === 0
      ? []
      : [
          `${formatPath(["entrypoints", index, "configuration", "headers"])}: subscriptions made by API do not get them; ` +
            '"shareHeaders": true gives them',
        ],
  );
}

/** What others can read, or change, on the way. */
function serverWarnings({ listen, tls, auth }: ConfigFile["server"]): string[] {
  const keys = auth.type === "jwt" && auth.jwksUri !== undefined ? new URL(auth.jwksUri) : null;
  const isOpen = listen !== null && tls === undefined && !isLoopback(parseListen(listen).host);
  return [
    ...(isOpen && auth.type !== "none"
      ? [`server.listen: ${listen} is without TLS: what callers sign in with can be read on the way`]
      : []),
    ...(keys?.protocol === "http:" && !isLoopback(keys.hostname.replace(/^\[(.*)\]$/u, "$1"))
      ? ["server.auth.jwksUri: it is without TLS: who changes its answer on the way can sign in"]
      : []),
  ];
}

const MIN_TOKEN_LENGTH = 16;

/** Wrong tokens are slowed down, right ones never: only a long one cannot be guessed. */
function tokenWarnings({ auth }: ConfigFile["server"], secrets: Secrets): string[] {
  const token = auth.type === "token" ? secrets.valueOf(auth.value) : undefined;
  if (token === undefined || token.length >= MIN_TOKEN_LENGTH) return [];
  return [
    `server.auth.value: the token has ${token.length} characters and can be guessed, ` +
      `give it ${MIN_TOKEN_LENGTH} or more: openssl rand -base64 32`,
  ];
}

function isWritten(value: unknown, path: Path): boolean {
  return at(value, path) !== undefined;
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}
