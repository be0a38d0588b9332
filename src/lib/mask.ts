// Secrets kept out of texts, in whatever usual form they stand there.

const MASK = "***";
const MIN_MASKED_LENGTH = 8;

/**
 * Replaces each secret of 8 characters or more by `***`, also where it is percent-encoded, in base64 or escaped as in
 * JSON.
 */
export function createMask(secrets: readonly string[]): (text: string) => string {
  const forms = new Set(secrets.filter((secret) => secret.length >= MIN_MASKED_LENGTH).flatMap(formsOf));
  if (forms.size === 0) return (text) => text;
  // The longest first: a secret that holds another one is masked as a whole.
  const ordered = [...forms].sort((left, right) => right.length - left.length);
  const pattern = new RegExp(ordered.map((form) => RegExp.escape(form)).join("|"), "gu");
  return (text) => text.replaceAll(pattern, MASK);
}

/** As it is, escaped as in JSON, percent-encoded, in base64. */
export function formsOf(secret: string): readonly string[] {
  const base64 = Buffer.from(secret, "utf8").toString("base64");
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    base64,
    base64.replace(/=+$/u, ""),
    Buffer.from(secret, "utf8").toString("base64url"),
  ];
}
