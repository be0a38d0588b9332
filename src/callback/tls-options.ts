// What TLS settings mean to the TLS of the runtime: whom to trust, who to be, what to verify.

import { isIP } from "node:net";
import { type ConnectionOptions, createSecureContext, getCACertificates, type SecureContext } from "node:tls";

import type { TlsSettings } from "#delivery/callback.ts";

/** Throws where a key or a certificate cannot be read. */
export function toTlsOptions(settings: TlsSettings, host: string): ConnectionOptions {
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

let usualContext: SecureContext | null = null;

/** Most callbacks have nothing of their own, and the authorities of the system take a megabyte each time. */
function toSecureContext({ trusted, identity }: TlsSettings): SecureContext {
  if (trusted === null && identity === null) {
    usualContext ??= createSecureContext({ ca: systemAuthorities() });
    return usualContext;
  }
  return createSecureContext({
    ca: trusted === null ? systemAuthorities() : [...trusted],
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
