// TLS with the callback over an established connection: trust, client certificate, verification, session resumption.

import { isIP, type Socket } from "node:net";
import {
  connect,
  type ConnectionOptions,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from "node:tls";

import type { TlsSettings } from "#delivery/callback.ts";
import { codeOf } from "#lib/errors.ts";
import type { OpenedSockets, StepEnd } from "./connect-tcp.ts";
import { CLOSED } from "./exception.ts";

/** Ends when the socket is destroyed, too. */
type TlsHandshake = (raw: Socket, sockets: OpenedSockets) => Promise<StepEnd>;

/** A TLS 1.3 ticket serves for one connection, and a server sends two with each. */
const MAX_SESSIONS = 2;

/** Resumes sessions: such a handshake needs neither certificates nor signatures. */
export function createTlsHandshake(settings: TlsSettings, host: string): TlsHandshake {
  const sessions: Buffer[] = [];
  let options: ConnectionOptions | null = null;

  function keep(session: Buffer): void {
    sessions.push(session);
    if (sessions.length > MAX_SESSIONS) sessions.shift();
  }

  return (raw, sockets) =>
    new Promise((resolve) => {
      const session = sessions.pop();
      const readBefore = raw.bytesRead;
      const fail = (error: unknown) => {
        // The server may object to the resumed session: try without it.
        sessions.length = 0;
        const isAtOnce = raw.bytesRead - readBefore <= ALERT_BYTES;
        resolve({ kind: "failed", error: isAtOnce && codeOf(error) === REFUSED ? HELLO_REFUSED : error });
      };
      try {
        // The runtime would drop them silently.
        if (raw.readableLength > 0) throw SPOKE_FIRST;
        options ??= toTlsOptions(settings, host);
        const resumed = session === undefined ? {} : { session };
        const socket = sockets.own(connect({ ...options, ...resumed, socket: raw }));
        const failBefore = (error: unknown) => {
          if (!isUp) fail(error);
        };
        let isUp = false;
        socket.once("secureConnect", () => {
          isUp = true;
          // TLS 1.2 keeps the same session and issues no other.
          if (session !== undefined && socket.getProtocol() !== "TLSv1.3" && socket.isSessionReused())
            keep(session);
          resolve({ kind: "connected", socket });
        });
        socket.on("session", keep);
        for (const each of [raw, socket])
          each.once("error", failBefore).once("close", () => failBefore(CLOSED));
      } catch (error) {
        fail(error);
      }
    });
}

/** The alert `handshake_failure`: its cause is unknown. */
const REFUSED = "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE";
/** For an unencrypted alert: nothing preceded it, so the server has read only the first message. */
const ALERT_BYTES = 7;
const HELLO_REFUSED: Error = Object.assign(new Error("Hello refused"), { code: "HELLO_REFUSED" });
const SPOKE_FIRST: Error = Object.assign(new Error("Spoke first"), { code: "SPOKE_FIRST" });

/** Throws if a key or a certificate cannot be read. */
function toTlsOptions(settings: TlsSettings, host: string): ConnectionOptions {
  const name = host.replace(/\.$/u, "");
  return {
    host: name,
    servername: isIP(name) === 0 ? name : "",
    ALPNProtocols: ["http/1.1"],
    secureContext: toSecureContext(settings),
    rejectUnauthorized: settings.verifiesCertificate,
    ...(settings.verifiesHostName ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** A trusted certificate need not be a root: the issuer's or the server's own is enough. */
const ANY_TRUSTED = { allowPartialTrustChain: true };

let usualContext: SecureContext | null = null;

/** Shared: most callbacks have no settings, and the system's authorities take a megabyte each time. */
function toSecureContext({ trusted, identity }: TlsSettings): SecureContext {
  if (trusted === null && identity === null) {
    usualContext ??= createSecureContext({ ca: systemAuthorities(), ...ANY_TRUSTED });
    return usualContext;
  }
  return createSecureContext({
    ca: trusted === null ? systemAuthorities() : [...trusted],
    ...ANY_TRUSTED,
    ...(identity === null ? {} : { key: identity.key, cert: identity.chain.join("\n") }),
  });
}

/**
 * The system's authorities, which the operator can change, and `NODE_EXTRA_CA_CERTS`. If the system has none, as in a
 * bare container, those of the runtime. Read once.
 */
function systemAuthorities(): string[] {
  const system = getCACertificates("system");
  return system.length === 0 ? getCACertificates("default") : [...system, ...getCACertificates("extra")];
}
