// Converts connection errors to exceptions with messages for people, without path, query or user of the URL.

import { isOutOfDescriptors } from "#lib/descriptors.ts";
import { codeOf } from "#lib/errors.ts";
import { NameError } from "#lib/resolver.ts";
import type { Proxy } from "#delivery/callback.ts";
import type { Exception, ExceptionCode } from "#delivery/outcome.ts";

/** Stands for the error of a connection that closed without one. */
export const CLOSED: Error = Object.assign(new Error("Connection closed"), { code: "ECONNRESET" });

export function toException(code: ExceptionCode, error: string): Exception {
  return { kind: "exception", code, error };
}

const CONNECT_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "no answer from the host",
  EADDRNOTAVAIL: "no free local port",
  EMFILE: "the relay has no file descriptor left",
  ENFILE: "the host has no file descriptor left",
  EACCES: "not permitted",
  EPERM: "not permitted",
};

const UNKNOWN_AUTHORITY = "certificate is from an unknown authority";
const OLD_TLS = "it speaks neither TLS 1.2 nor 1.3";
const NOT_ACCEPTED = "it does not accept the client certificate";
const NOTHING_IN_COMMON = "it shares no cipher, key exchange or signature algorithm with Relay";

const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "certificate has expired",
  CERT_NOT_YET_VALID: "certificate is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE:
    "certificate has an invalid signature, or one by an algorithm that Relay does not accept, such as MD5",
  INVALID_PURPOSE: "certificate is not for servers, or not issued by an authority",
  INVALID_CA: "certificate is not issued by an authority",
  PATH_LENGTH_EXCEEDED: "certificate has more authorities above it than they allow",
  ERR_TLS_CERT_ALTNAME_INVALID: "certificate is for another name",
  ECONNRESET: "connection closed in the TLS handshake",
  SPOKE_FIRST: "it sent data before the TLS handshake",
  ERR_BORINGSSL: "a certificate or key given for it cannot be read",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_TLS,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OLD_TLS,
  HELLO_REFUSED: NOTHING_IN_COMMON,
  ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY: NOTHING_IN_COMMON,
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "it does not speak HTTP/1.1",
  ERR_SSL_TLSV1_ALERT_UNRECOGNIZED_NAME: "it does not know this host name",
  ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR: "it had an internal error in the handshake",
  ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED: "it demands a client certificate",
  ERR_SSL_SSLV3_ALERT_NO_CERTIFICATE: "it demands a client certificate",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: "it refused the handshake; it may demand a client certificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: `${NOT_ACCEPTED}, or demands one`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: `${NOT_ACCEPTED}, or demands one`,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: NOT_ACCEPTED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: `${NOT_ACCEPTED}: revoked`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `${NOT_ACCEPTED}: expired`,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: `${NOT_ACCEPTED}: unknown authority`,
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: `${NOT_ACCEPTED}: access denied`,
};

/** For an error of name resolution or of the TCP connection to `address`. */
export function toConnectException(error: unknown, address: string): Exception {
  return toException(toConnectCode(error), `Cannot reach ${address}: ${toConnectReason(error)}`);
}

function toConnectCode(error: unknown): ExceptionCode {
  if (isOutOfDescriptors(error)) return "descriptors";
  return error instanceof NameError ? "dns" : "connect";
}

export function toConnectReason(error: unknown): string {
  if (error instanceof NameError) return error.reason;
  return CONNECT_REASONS[codeOf(error)] ?? reasonOf(error);
}

/** `denied`: the denied address, if the URL names it; null: do not reveal which address the name resolves to. */
export function toDeniedException(address: string, denied: string | null): Exception {
  const which = denied === null ? "its address" : `its address ${denied}`;
  return toException("address-denied", `Not allowed to call ${address}: ${which} is denied`);
}

/** `reason` continues "the proxy …". */
export function toProxyException(
  address: string,
  { proxy: { host, port }, reason }: { readonly proxy: Proxy; readonly reason: string },
): Exception {
  const proxyAddress = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return toException("proxy", `Cannot reach ${address}: the proxy ${proxyAddress} ${reason}`);
}

export function toTlsException(error: unknown, address: string): Exception {
  const reason = TLS_REASONS[codeOf(error)] ?? handshakeReason(error);
  return toException("tls", `Cannot reach ${address} by TLS: ${reason}`);
}

/** Rare alerts keep the wording of the TLS library. */
function handshakeReason(error: unknown): string {
  const [, alert, words] = /^ERR_SSL_(?:SSLV3_|TLSV1_)?(ALERT_)?(\w+)/u.exec(codeOf(error)) ?? [];
  if (words === undefined) return reasonOf(error);
  const who = alert === undefined ? "the handshake failed" : "it broke off the handshake";
  return `${who}: ${words.toLowerCase().replaceAll("_", " ")}`;
}

/** For an error after the connection was established. */
export function toExchangeException(error: unknown, address: string): Exception {
  // Under TLS 1.3 the callback checks the client's certificate after the handshake.
  if (codeOf(error).startsWith("ERR_SSL_")) return toTlsException(error, address);
  if (isBreak(error))
    return toException("reset", `Connection to ${address} broke before the answer was complete`);
  return toException("reset", `Cannot call ${address}: ${reasonOf(error)}`);
}

/** True if the peer closed or reset the connection. */
export function isBreak(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ECONNRESET" || code === "EPIPE";
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === "" ? "unknown reason" : code;
}
