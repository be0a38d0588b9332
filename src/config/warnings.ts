// Warns about settings that are allowed but probably not intended.

import { isOrdered } from "#delivery/subscription.ts";
import type { ConfigFile } from "#schema/file.ts";
import { type Fault, formatPath, type Path, valueAt } from "#schema/issue.ts";
import { listValueWarnings } from "#schema/value-warnings.ts";
import { isLoopback, parseListen } from "./check-host.ts";
import { tlsWarnings } from "./check-tls.ts";
import { holdsAnySecret } from "./request-secrets.ts";
import type { ConfigContext, Secrets } from "./secrets.ts";
import { tokenWarnings } from "./store-expiry.ts";

/** `value`: the file as written, without defaults, which need no warnings. */
export function listWarnings(
  file: ConfigFile,
  { value, secrets, context }: { value: unknown; secrets: Secrets; context: ConfigContext },
): readonly Fault[] {
  return [
    ...listValueWarnings(value),
    ...tlsWarnings(file.nats.tls, { path: ["nats", "tls"], context }),
    ...credsWarnings(file.nats.auth, { secrets, context }),
    ...serverWarnings(file.server),
    ...tlsWarnings(file.server.tls, { path: ["server", "tls"], context }),
    ...serverTokenWarnings(file.server, secrets),
    ...telemetryWarnings(file),
    ...file.entrypoints.flatMap(({ shareHeaders, configuration: { headers } }, index) =>
      shareHeaders && holdsAnySecret(headers)
        ? [
            {
              path: ["entrypoints", index, "shareHeaders"],
              message:
                "configuration.headers holds secrets, and anyone who makes a subscription by API can read them at a callback " +
                "of their own",
            },
          ]
        : [],
    ),
    ...file.endpoints.flatMap(({ producer }, index) => {
      if (producer === undefined || producer.create) return [];
      return (["maxAgeSeconds", "maxBytes", "replicas"] as const)
        .map((key) => ["endpoints", index, "producer", key])
        .filter((path) => isWritten(value, path))
        .map((path) => ({ path, message: "it does nothing", suggestion: 'write "create": true beside it' }));
    }),
    ...file.entrypoints.flatMap(({ configuration: { http } }, index) =>
      http.readTimeout < http.connectTimeout
        ? [
            {
              path: ["entrypoints", index, "configuration", "http", "readTimeout"],
              message:
                `it is ${http.readTimeout} and counts the connecting too, so the connectTimeout of ` +
                `${http.connectTimeout} is never reached`,
            },
          ]
        : [],
    ),
    ...file.entrypoints.flatMap(({ qos, configuration }, index) => {
      const limit = ["entrypoints", index, "configuration", "http", "maxConcurrentConnections"];
      const written = valueAt(value, limit);
      const hasKey = configuration.ordering?.key !== undefined;
      return [
        ...(isOrdered(qos) && !hasKey && typeof written === "number" && written > 1
          ? [{ path: limit, message: `it counts as 1 under ${qos} without an ordering.key` }]
          : []),
        ...(qos === "AT_MOST_ONCE" && configuration.ordering !== undefined
          ? [
              {
                path: ["entrypoints", index, "configuration", "ordering"],
                message: `it does nothing under ${qos} yet`,
              },
            ]
          : []),
        ...(qos === "AT_MOST_ONCE"
          ? [
              {
                path: ["entrypoints", index, "qos"],
                message:
                  "AT_MOST_ONCE holds for one relay only; where several share a subscription, the receiver must check " +
                  "webhook-id",
              },
            ]
          : []),
      ];
    }),
  ];
}

/** Settings that subscriptions made by API do not inherit. `relay check` lists them; they are not logged at each start. */
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

/** Warns of listeners whose traffic others can read or change. */
function serverWarnings({ listen, tls, auth }: ConfigFile["server"]): Fault[] {
  const keys = auth.type === "jwt" && auth.jwksUri !== undefined ? new URL(auth.jwksUri) : null;
  const isOpen = listen !== null && tls === undefined && !isLoopback(parseListen(listen).host);
  return [
    ...(isOpen && auth.type !== "none"
      ? [
          {
            path: ["server", "listen"],
            message: `${listen} has no TLS: others on the network can read the credentials of callers`,
          },
        ]
      : []),
    ...(keys?.protocol === "http:" && !isLoopback(keys.hostname.replace(/^\[(.*)\]$/u, "$1"))
      ? [
          {
            path: ["server", "auth", "jwksUri"],
            message: "without TLS, an attacker who changes the answer can sign in",
          },
        ]
      : []),
  ];
}

/** Warns of a `.creds` file whose JWT has expired or expires soon. */
function credsWarnings(
  auth: ConfigFile["nats"]["auth"],
  { secrets, context }: { secrets: Secrets; context: ConfigContext },
): Fault[] {
  const content = auth.type === "creds" ? secrets.valueOf(auth.content) : undefined;
  const [, jwt] = /-+BEGIN NATS USER JWT-+\s+(\S+)/u.exec(content ?? "") ?? [];
  const messages = jwt === undefined ? [] : tokenWarnings(jwt, context.now);
  return messages.map((message) => ({ path: ["nats", "auth", "content"], message }));
}

const MIN_TOKEN_LENGTH = 16;

/** Warns of a short token: Relay slows wrong guesses down, but only length protects a token. */
function serverTokenWarnings({ auth }: ConfigFile["server"], secrets: Secrets): Fault[] {
  const token = auth.type === "token" ? secrets.valueOf(auth.value) : undefined;
  if (token === undefined || token.length >= MIN_TOKEN_LENGTH) return [];
  return [
    {
      path: ["server", "auth", "value"],
      message: `the token has ${token.length} characters and can be guessed`,
      suggestion: `give it ${MIN_TOKEN_LENGTH} or more: openssl rand -base64 32`,
    },
  ];
}

const GRPC_PORT = "4317";

function telemetryWarnings({ telemetry }: ConfigFile): Fault[] {
  if (telemetry === undefined || new URL(telemetry.endpoint).port !== GRPC_PORT) return [];
  const message = "collectors take OTLP over gRPC at this port; Relay sends it over HTTP";
  return [{ path: ["telemetry", "endpoint"], message, suggestion: "write 4318" }];
}

function isWritten(value: unknown, path: Path): boolean {
  return valueAt(value, path) !== undefined;
}
