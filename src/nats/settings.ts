// NATS settings (servers, auth, TLS), and their conversion to the client library's connection options.

import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  type NatsConnection,
  NatsConnectionImpl,
  nkeyAuthenticator,
  setTransportFactory,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { NodeTransport } from "@nats-io/transport-node/lib/node_transport.js";
import { resolveHost } from "#lib/resolver.ts";

export type NatsAuth =
  | { readonly kind: "none" }
  | { readonly kind: "user"; readonly username: string; readonly password: string }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "nkey"; readonly seed: string }
  /** `read` returns the content of a `.creds` file. Called for every connect, so a renewed file is used. */
  | { readonly kind: "creds"; readonly read: () => string };

export interface NatsTls {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly handshakeFirst: boolean;
}

export interface NatsSettings {
  readonly servers: readonly string[];
  readonly auth: NatsAuth;
  /** null: TLS if a server's URL or the server itself asks for it. */
  readonly tls: NatsTls | null;
  readonly inboxPrefix: string;
  /** Client name in the server's monitoring. */
  readonly name: string;
}

const DIAL_TIMEOUT_MS = 5000;
const RECONNECT_WAIT_MS = 1000;
const RECONNECT_JITTER_MS = 250;
const PING_INTERVAL_MS = 20_000;
const MAX_PINGS_OUT = 2;

/** Like the library's `connect`, but resolves names with `resolveHost`, which runs one getaddrinfo at a time. */
export function connect(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({
    factory: () => new NodeTransport(),
    dnsResolveFn: async (host) => [...(await resolveHost(host, AbortSignal.timeout(DIAL_TIMEOUT_MS)))],
  });
  return NatsConnectionImpl.connect(options);
}

/** Without `waitOnFirstConnect`: Relay must see a failed first connect, so it repeats that itself. */
export function toConnectionOptions(settings: NatsSettings): ConnectionOptions {
  const tls = toTlsOptions(settings);
  const authenticator = toAuthenticator(settings.auth);
  return {
    servers: [...settings.servers],
    name: settings.name,
    inboxPrefix: settings.inboxPrefix,
    timeout: DIAL_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(tls === null ? {} : { tls }),
    ...(authenticator === null ? {} : { authenticator }),
  };
}

function toAuthenticator(auth: NatsAuth): Authenticator | null {
  const encoder = new TextEncoder();
  switch (auth.kind) {
    case "none":
      return null;
    case "user":
      return usernamePasswordAuthenticator(auth.username, auth.password);
    case "token":
      return tokenAuthenticator(auth.value);
    case "nkey":
      return nkeyAuthenticator(encoder.encode(auth.seed.trim()));
    case "creds":
      // The library's parser knows no CRLF, and reads the content twice: once for the token, once for the key.
      return (nonce) => credsAuthenticator(encoder.encode(normalizeCreds(auth.read())))(nonce);
  }
}

function normalizeCreds(content: string): string {
  return `${content.replaceAll("\r\n", "\n").trimEnd()}\n`;
}

/** The library passes this on to TLS: a certificate in `caFile` need not be a root. */
const ANY_TRUSTED = { allowPartialTrustChain: true };

/** The library drops the scheme of a server's URL, so `tls://` is passed as an option. */
function toTlsOptions({ tls, servers }: NatsSettings): TlsOptions | null {
  if (tls === null) return servers.some((server) => server.startsWith("tls://")) ? {} : null;
  return {
    ...ANY_TRUSTED,
    ...(tls.caFile === null ? {} : { caFile: tls.caFile }),
    ...(tls.certFile === null ? {} : { certFile: tls.certFile }),
    ...(tls.keyFile === null ? {} : { keyFile: tls.keyFile }),
    ...(tls.handshakeFirst ? { handshakeFirst: true } : {}),
  };
}
