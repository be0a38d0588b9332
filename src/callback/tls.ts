// TLS with the callback, over a connection that is up: whom to trust, who to be, what to verify, and what to resume.

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

/** Of TLS 1.3 each serves for one connection, and a server gives two with each. */
const MAX_SESSIONS = 2;

/** Resumes the sessions of its connections: a handshake then needs neither certificates nor signatures. */
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
        // It may be the session that the server takes exception to.
        sessions.length = 0;
        const isAtOnce = raw.bytesRead - readBefore <= ALERT_BYTES;
        resolve({ kind: "failed", error: isAtOnce && codeOf(error) === REFUSED ? HELLO_REFUSED : error });
      };
      try {
        // The runtime would leave them out without a word.
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
          // TLS 1.2 goes on with the same one, and gives no other.
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

/** The alert `handshake_failure`: it may stand for anything. */
const REFUSED = "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE";
/** Of an alert that is not encrypted: nothing came before it, so the server has read the first message only. */
const ALERT_BYTES = 7;
const HELLO_REFUSED: Error = Object.assign(new Error("Hello refused"), { code: "HELLO_REFUSED" });
const SPOKE_FIRST: Error = Object.assign(new Error("Spoke first"), { code: "SPOKE_FIRST" });

/** Throws where a key or a certificate cannot be read. */
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

/** A certificate that is trusted need not be a root: the issuing authority's, or the server's own, is enough. */
const ANY_TRUSTED = { allowPartialTrustChain: true };

let usualContext: SecureContext | null = null;

/** Most callbacks have nothing of their own, and the authorities of the system take a megabyte each time. */
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
 * Those of the system, where the operator adds his own and removes others, with `NODE_EXTRA_CA_CERTS`. Where it has
 * none, as a bare container, those that came with the runtime. Read once.
 */
function systemAuthorities(): string[] {
  const system = getCACertificates("system");
  return system.length === 0 ? getCACertificates("default") : [...system, ...getCACertificates("extra")];
}
