// The schema of a secret: the value itself, or a reference to where it is.

import * as v from "valibot";

export interface Secret {
  readonly kind: "secret";
  readonly source: SecretSource;
  /** True: an inline value is no secret, as with user names and callback URLs; a referenced one is. */
  readonly isPublic: boolean;
}

export type SecretSource =
  | { readonly kind: "inline"; readonly value: string }
  | { readonly kind: "env" | "file" | "credential"; readonly name: string };

const REFERENCES = '{ "env": "NAME" }, { "file": "/path" } or { "credential": "name" }';
const NOT_EMPTY = `allowed: ${REFERENCES}, with a name that is not empty`;

const target = (description: string) =>
  v.pipe(v.string(), v.minLength(1, NOT_EMPTY), v.maxLength(4096, NOT_EMPTY), v.description(description));

/** Rewords a fault for a place where references are refused. */
export function toInlineMessage(message: string): string {
  return message.includes(REFERENCES) ? "allowed: a plain string" : message;
}

/** The three kinds of references. */
export const reference = v.pipe(
  v.union(
    [
      v.strictObject({ env: target("An environment variable") }),
      v.strictObject({ file: target("A file; one line break at its end is dropped") }),
      v.strictObject({ credential: target("A file in `$CREDENTIALS_DIRECTORY`") }),
    ],
    `allowed: ${REFERENCES}`,
  ),
  v.title("Reference"),
);

const value = v.union([v.string(), reference], `allowed: a string, ${REFERENCES}`);

/** A value that is never shown, inline or by reference. */
export function secret(description: string) {
  return v.pipe(
    value,
    v.description(description),
    v.transform((input) => toSecret(input, false)),
  );
}

/** A value that may be given by reference; an inline value is no secret. */
export function referable(description: string) {
  return v.pipe(
    value,
    v.description(description),
    v.transform((input) => toSecret(input, true)),
  );
}

/** Marks a parsed value as no secret if it is inline. */
export function toReferable(value: Secret): Secret {
  return { ...value, isPublic: true };
}

/** A value that must be a reference, because it is read again later. */
export function secretReference(description: string) {
  return v.pipe(
    reference,
    v.description(description),
    v.transform((input) => toSecret(input, false)),
  );
}

function toSecret(input: v.InferOutput<typeof value>, isPublic: boolean): Secret {
  const source = typeof input === "string" ? ({ kind: "inline", value: input } as const) : toSource(input);
  return { kind: "secret", source, isPublic };
}

export function toSource(
  input: v.InferOutput<typeof reference>,
): Exclude<SecretSource, { readonly kind: "inline" }> {
  if ("env" in input) return { kind: "env", name: input.env };
  if ("file" in input) return { kind: "file", name: input.file };
  return { kind: "credential", name: input.credential };
}

export function isSecret(input: unknown): input is Secret {
  if (typeof input !== "object" || input === null) return false;
  return "kind" in input && input.kind === "secret" && "source" in input && typeof input.source === "object";
}
