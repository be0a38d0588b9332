// Secrets kept out of texts, in whatever usual form they stand there.

/** What stands for a secret. */
export const MASK = "***";
const MIN_MASKED_LENGTH = 8;

/** `end` `cut`: there was more of the text, so its end may be the beginning of a secret. */
export type Mask = (text: string, end?: "cut") => string;

/**
 * Replaces each secret of 8 characters or more by `***`, also where it is percent-encoded, in base64 or escaped as in
 * JSON; at the end of a text that was cut, the first 8 or more characters of one too.
 */
export function createMask(secrets: readonly string[]): Mask {
  const forms = new Set(secrets.filter((secret) => secret.length >= MIN_MASKED_LENGTH).flatMap(formsOf));
  if (forms.size === 0) return (text) => text;
  // The longest first: a secret that holds another one is masked as a whole.
  const ordered = [...forms].sort((left, right) => right.length - left.length);
  const pattern = new RegExp(ordered.map((form) => RegExp.escape(form)).join("|"), "gu");
  return (text, end) => {
    const masked = text.replaceAll(pattern, MASK);
    return end === "cut" ? maskCutEnd(masked, ordered) : masked;
  };
}

function maskCutEnd(text: string, forms: readonly string[]): string {
  const at = Math.min(...forms.map((form) => findBeginning(text, form)));
  return at === text.length ? text : text.slice(0, at) + MASK;
}

/** Where the beginning of `form` is the end of `text`; the length of the text: nowhere. */
function findBeginning(text: string, form: string): number {
  const first = form.slice(0, MIN_MASKED_LENGTH);
  let at = text.indexOf(first, Math.max(0, text.length - form.length));
  while (at !== -1 && !form.startsWith(text.slice(at))) at = text.indexOf(first, at + 1);
  return at === -1 ? text.length : at;
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
