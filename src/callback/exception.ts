// Why a callback gave no answer, in words for people: neither the path, the query nor the user of its URL appear.

import { codeOf, messageOf } from "#lib/errors.ts";
import type { Proxy } from "#delivery/callback.ts";
import type { Exception, ExceptionCode } from "#delivery/outcome.ts";

/** Carries an exception through code that hands on errors only. */
export class ExceptionError extends Error {
  readonly exception: Exception;

  constructor(exception: Exception) {
    super(exception.error);
    this.name = "ExceptionError";
    this.exception = exception;
  }
}

/** The error of a connection that closed without one. */
export const CLOSED: Error = Object.assign(new Error("Connection closed"), { code: "ECONNRESET" });

export function toException(code: ExceptionCode, error: string): Exception {
  return { kind: "exception", code, error };
}

const DNS_REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "name not found",
  ENODATA: "name has no address",
  EAI_AGAIN: "name server did not answer",
  EAI_FAIL: "name server failed",
  ESERVFAIL: "name server failed",
  ETIMEOUT: "name server did not answer",
};

const CONNECT_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "no answer from the host",
  EADDRNOTAVAIL: "no free local port",
  EMFILE: "too many open files",
  EACCES: "not permitted",
  EPERM: "not permitted",
};

const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "certificate has expired",
  CERT_NOT_YET_VALID: "certificate is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "certificate is from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "certificate is from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate is from an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate is from an unknown authority",
  CERT_SIGNATURE_FAILURE: "certificate is not signed by the authority that it names",
  ERR_TLS_CERT_ALTNAME_INVALID: "certificate is for another name",
  ECONNRESET: "connection closed in the TLS handshake",
  ERR_BORINGSSL: "a certificate or key given for it cannot be read",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "it speaks no version of TLS in use",
  ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED: "it demands a client certificate",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: "it refused the handshake; it may demand a client certificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "it does not accept the client certificate, or demands one",
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: "it does not accept the client certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: "it does not accept the client certificate: revoked",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "it does not accept the client certificate: expired",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "it does not accept the client certificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "it does not accept the client certificate: unknown authority",
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: "it does not accept the client certificate: access denied",
};

/** An error of name resolution or of the TCP connection to `address`. */
export function toConnectException(error: unknown, address: string): Exception {
  const code = DNS_REASONS[codeOf(error)] === undefined ? "connect" : "dns";
  return toException(code, `Cannot reach ${address}: ${toConnectReason(error)}`);
}

export function toConnectReason(error: unknown): string {
  const code = codeOf(error);
  return DNS_REASONS[code] ?? CONNECT_REASONS[code] ?? reasonOf(error);
}

/** `denied`: an address that was called as such; what a name stands for is not told to whoever only knows the name. */
export function toDeniedException(address: string, denied: string | null): Exception {
  const which = denied === null ? "its address" : `its address ${denied}`;
  return toException("address-denied", `Not allowed to call ${address}: ${which} is denied`);
}

/** `reason` goes on from "the proxy …". */
export function toProxyException(
  address: string,
  { proxy: { host, port }, reason }: { readonly proxy: Proxy; readonly reason: string },
): Exception {
  const proxyAddress = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return toException("proxy", `Cannot reach ${address}: the proxy ${proxyAddress} ${reason}`);
}

export function toTlsException(error: unknown, address: string): Exception {
  const reason = TLS_REASONS[codeOf(error)] ?? reasonOf(error);
  return toException("tls", `Cannot reach ${address} by TLS: ${reason}`);
}

/** An error after the connection was up. */
export function toExchangeException(error: unknown, address: string): Exception {
  if (error instanceof ExceptionError) return error.exception;
  if (isGarbage(error)) {
    return toException("bad-response", `Cannot read the answer of ${address}: ${garbageReason(error)}`);
  }
  // Under TLS 1.3 the callback judges the client's certificate after the handshake.
  if (codeOf(error).startsWith("ERR_SSL_")) return toTlsException(error, address);
  if (isBreak(error))
    return toException("reset", `Connection to ${address} broke before the answer was complete`);
  return toException("reset", `Cannot call ${address}: ${reasonOf(error)}`);
}

/** True if the peer closed or reset the connection, at whatever point. */
export function isBreak(error: unknown): boolean {
  const code = codeOf(error);
  return (
    code === "ECONNRESET" ||
    code === "EPIPE" ||
    code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH" ||
    isEarlyEnd(error) ||
    (code === "UND_ERR_SOCKET" && !isGarbage(error))
  );
}

/** Undici reports an unexpected interim answer as a broken socket. */
const MISPLACED: ReadonlySet<string> = new Set(["bad response", "bad upgrade"]);

function isGarbage(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "UND_ERR_SOCKET") return MISPLACED.has(messageOf(error));
  // Undici's parser takes a status below 100, and the code behind it asserts that there is none.
  if (code === "UND_ERR_HEADERS_OVERFLOW" || code === "ERR_ASSERTION") return true;
  return isParserError(error) && !isEarlyEnd(error);
}

/** Undici 8 gives these no code. */
function isParserError(error: unknown): boolean {
  return error instanceof Error && error.name === "HTTPParserError";
}

function isEarlyEnd(error: unknown): boolean {
  return isParserError(error) && messageOf(error).includes("Invalid EOF state");
}

function garbageReason(error: unknown): string {
  switch (codeOf(error)) {
    case "UND_ERR_HEADERS_OVERFLOW":
      return "headers too long";
    case "UND_ERR_SOCKET":
      return "answered out of turn";
    default:
      return "not HTTP/1.1";
  }
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === "" ? "unknown reason" : code;
}
