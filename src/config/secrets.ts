// Finds the secrets of the file and reads what their references name.

import { isAbsolute, join, resolve } from "node:path";
import { codeOf, messageOf } from "#lib/errors.ts";
import type { Fault, Path } from "#schema/issue.ts";
import { nearestOf } from "#schema/nearest.ts";
import { isSecret, type Secret, type SecretSource } from "#schema/secret.ts";
import { variableIn } from "#schema/variables.ts";

/** The environment of a config: variables, files, clock and host. */
export interface ConfigContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths of the file are relative to it. */
  readonly directory: string;
  /** Throws if the file cannot be read, or is no text in UTF-8. */
  readonly readFile: (path: string) => string;
  /** Throws if the file cannot be read. */
  readonly readBytes: (path: string) => Uint8Array;
  readonly now: Date;
  /** The system's name of this host. */
  readonly hostName: string;
  /** True: references are not looked up; valid placeholders replace their values. */
  readonly withoutSecrets: boolean;
  /** Which references are looked up; undefined: all, or none where `withoutSecrets`. */
  readonly looksUp?: ((path: Path, source: ReferredSource) => boolean) | undefined;
  /** Where the service has its credentials from, for a command outside of it; undefined: nowhere. */
  readonly serviceCredentials?: string | undefined;
}

/** What it takes to look one reference up. */
export type ReadingContext = Pick<ConfigContext, "env" | "directory" | "readFile" | "serviceCredentials">;

type ReferredSource = Exclude<SecretSource, { kind: "inline" }>;

/** False: the value is taken as given. */
export function isLookedUp(
  { path, source }: { readonly path: Path; readonly source: ReferredSource },
  { looksUp, withoutSecrets }: ConfigContext,
): boolean {
  return looksUp === undefined ? !withoutSecrets : looksUp(path, source);
}

export interface Secrets {
  /** undefined: the reference cannot be followed, or was not looked up. */
  readonly valueOf: (secret: Secret) => string | undefined;
  readonly faults: readonly Fault[];
}

export function resolveSecrets(file: unknown, context: ConfigContext): Secrets {
  const values = new Map<Secret, string>();
  const faults: Fault[] = [];
  for (const { path, secret } of findSecrets(file, [])) {
    const { source } = secret;
    if (source.kind !== "inline" && !isLookedUp({ path, source }, context)) continue;
    const result = readSecret(source, context);
    if (result.kind === "missing") {
      const { message, suggestion = null } = result;
      faults.push({ path, message, suggestion });
    } else values.set(secret, result.value);
  }
  return { valueOf: (secret) => values.get(secret), faults };
}

/** The secrets that are given by reference. */
export function findReferredSecrets(
  file: unknown,
): readonly { path: Path; source: Exclude<SecretSource, { kind: "inline" }> }[] {
  return findSecrets(file, []).flatMap(({ path, secret: { source } }) =>
    source.kind === "inline" ? [] : [{ path, source }],
  );
}

/** All secrets of a part of the file. */
export function listSecrets(part: unknown): readonly Secret[] {
  return findSecrets(part, []).map(({ secret }) => secret);
}

type SecretResult =
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "missing"; readonly message: string; readonly suggestion?: string | null };

/** Looks a secret up. Drops one line break at the end of a file. */
export function readSecret(source: SecretSource, context: ReadingContext): SecretResult {
  switch (source.kind) {
    case "inline":
      return { kind: "value", value: source.value };
    case "env": {
      // Every object inherits names such as `constructor`.
      const value = Object.hasOwn(context.env, source.name) ? context.env[source.name] : undefined;
      return value === undefined
        ? {
            kind: "missing",
            message: `the environment variable ${source.name} is not set`,
            suggestion: adviseName(source.name, context.env),
          }
        : { kind: "value", value };
    }
    case "file":
      return readSecretFile(resolve(context.directory, source.name), context, source.name);
    case "credential": {
      const directory = context.env["CREDENTIALS_DIRECTORY"];
      if (directory === undefined || !isAbsolute(directory)) {
        const file = serviceCredentialOf(source.name, context);
        if (file !== null) return readSecretFile(file, context);
        return {
          kind: "missing",
          message: `the credential "${source.name}" is not there: CREDENTIALS_DIRECTORY is not set`,
          suggestion:
            "systemd sets it for a service with LoadCredential; relay check --without-secrets needs none",
        };
      }
      if (source.name.includes("/") || source.name === "..") {
        return { kind: "missing", message: "allowed: the name of a credential, not a path" };
      }
      return readSecretFile(join(directory, source.name), context);
    }
  }
}

/** The unit names them by its own name: `relay_callback` is the file `callback`. Null: there is none, or it may not be read. */
export function serviceCredentialOf(
  name: string,
  { serviceCredentials, readFile }: Pick<ReadingContext, "serviceCredentials" | "readFile">,
): string | null {
  const own = /^relay_([^/]+)$/u.exec(name)?.[1];
  if (serviceCredentials === undefined || own === undefined || own === "..") return null;
  const file = join(serviceCredentials, own);
  try {
    readFile(file);
    return file;
  } catch {
    return null;
  }
}

/** Advice for a variable that is not set: `$NAME` means NAME, and a similar name that is set was probably meant. */
function adviseName(name: string, env: ConfigContext["env"]): string {
  const bare = variableIn(name) ?? name;
  const nearest = Object.hasOwn(env, bare)
    ? bare
    : nearestOf(bare, Object.keys(env), bare.length < 6 ? 1 : 2);
  return nearest === null
    ? "set it where Relay runs; relay check --without-secrets does not look"
    : `did you mean { "env": "${nearest}" }?`;
}

/** `name`: the path as the file writes it, if it may be relative. */
function readSecretFile(path: string, context: Pick<ReadingContext, "readFile">, name = path): SecretResult {
  try {
    return { kind: "value", value: context.readFile(path).replace(/\r?\n$/u, "") };
  } catch (error) {
    const suggestion = isAbsolute(name) ? null : `${name} is looked for beside the config file`;
    return { kind: "missing", message: `cannot read ${path}: ${reasonOf(error)}`, suggestion };
  }
}

/** Throws if the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("it is no text in UTF-8");
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** Says in a few words why a file cannot be read, without its path. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === "" ? messageOf(error) : (REASONS[code] ?? code);
}

interface FoundSecret {
  readonly path: Path;
  readonly secret: Secret;
}

function findSecrets(value: unknown, path: Path): FoundSecret[] {
  if (isSecret(value)) return [{ path, secret: value }];
  if (Array.isArray(value))
    return value.flatMap((item: unknown, index) => findSecrets(item, [...path, index]));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => findSecrets(inner, [...path, key]));
}
