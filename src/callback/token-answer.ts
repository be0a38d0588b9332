// Parses the answer of a token endpoint (RFC 6749, 5.1): the access token, or why there is none, without secrets. PURE.

import { holdsSecret } from "#lib/mask.ts";

type TokenAnswer =
  | {
      readonly kind: "granted";
      readonly accessToken: string;
      /** null: missing or implausible. */
      readonly lifetimeMs: number | null;
    }
  /** `reason` follows a colon. */
  | { readonly kind: "refused"; readonly reason: string };

interface AnswerParts {
  readonly status: number;
  readonly body: Uint8Array;
  readonly isTruncated: boolean;
  /** Other names of endpoints for a bearer token. */
  readonly tokenType: string;
  /** Secrets that must not be shown in any form. null: show nothing of the answer. */
  readonly secrets: readonly string[] | null;
}

type Members = Readonly<Record<string, unknown>>;

export function readTokenAnswer(parts: AnswerParts): TokenAnswer {
  const { status, body, isTruncated, tokenType, secrets } = parts;
  if (status >= 300 && status < 400) return refuse(`it answered ${status}, and redirects are not followed`);
  const answer = toMembers(body);
  if (status < 200 || status >= 300) return refuse(`it answered ${status}${describe(answer, secrets)}`);
  if (isTruncated) return refuse("its answer is too long");
  if (answer === null) return refuse("its answer is not a JSON object");
  const { access_token: accessToken, token_type: type, expires_in: expiresIn } = answer;
  if (accessToken === undefined || accessToken === null || accessToken === "") {
    return refuse(`its answer has no access_token${describe(answer, secrets)}`);
  }
  if (type !== undefined && type !== null && !isOneOf(type, ["Bearer", tokenType])) {
    return refuse(`its token_type is not ${tokenType}`);
  }
  if (typeof accessToken !== "string" || !HEADER_TEXT.test(accessToken)) {
    return refuse("its access_token has characters that no header can hold");
  }
  return { kind: "granted", accessToken, lifetimeMs: toLifetimeMs(expiresIn) };
}

const HEADER_TEXT = /^[\x21-\x7e]+$/;
const ERROR_CODE = /^[\w.-]{1,64}$/;
const DESCRIPTION = /^[\x20-\x7e]{1,200}$/;

function refuse(reason: string): TokenAnswer {
  return { kind: "refused", reason };
}

function toMembers(body: Uint8Array): Members | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : null;
  } catch {
    return null;
  }
}

/** Compares without case (RFC 6749, 5.1) and blanks. */
function isOneOf(type: unknown, allowed: readonly string[]): boolean {
  return typeof type === "string" && allowed.some((other) => toPlain(other) === toPlain(type));
}

function toPlain(type: string): string {
  return type.replace(/\s/gu, "").toLowerCase();
}

/** Some servers send digits as text. */
function toLifetimeMs(expiresIn: unknown): number | null {
  const seconds =
    typeof expiresIn === "string" && /^\d{1,15}$/.test(expiresIn) ? Number(expiresIn) : expiresIn;
  return typeof seconds === "number" && seconds > 0 ? seconds * 1000 : null;
}

/** The OAuth error (RFC 6749, 5.2), as far as it can be shown, after a blank. */
function describe(answer: Members | null, secrets: readonly string[] | null): string {
  if (secrets === null) return "";
  const isShown = (text: unknown, pattern: RegExp): text is string =>
    typeof text === "string" && pattern.test(text) && !holdsSecret(text, secrets);
  const { error, error_description: description } = answer ?? {};
  if (!isShown(error, ERROR_CODE)) return "";
  return isShown(description, DESCRIPTION) ? ` ${error} (${description})` : ` ${error}`;
}
