// Faults of `server` that its schema cannot see: files that do not fit, words that cannot be sent, a path that is too long.

import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { type CallbackScope, checkUrl } from "./check-callback.ts";
import type { Fault, Path } from "./issue.ts";
import { parseKeyFile } from "./key-file.ts";
import { type ConfigContext, reasonOf } from "./secrets.ts";
import { controlSocketOf, MAX_SOCKET_PATH_BYTES, stateDirectoryOf } from "./state-paths.ts";
import type { SoundFile } from "./validate.ts";

interface ServerScope extends CallbackScope {
  readonly context: ConfigContext;
}

type SoundServer = NonNullable<SoundFile["server"]>;

type FileText =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "fault"; readonly fault: Fault };

export function checkServerTls({ tls }: SoundServer, { context }: ServerScope): Fault[] {
  if (context.withoutSecrets) return [];
  const path = ["server", "tls"];
  const read = (key: "certFile" | "keyFile") => readText(tls?.[key], { path: [...path, key], context });
  const [cert, key] = [read("certFile"), read("keyFile")];
  const faults = [cert, key].flatMap((file) => (file?.kind === "fault" ? [file.fault] : []));
  if (cert?.kind === "read" && !isAccepted({ cert: cert.text })) {
    faults.push({ path: [...path, "certFile"], message: "allowed: a chain of certificates in PEM" });
  }
  if (key?.kind === "read" && !isAccepted({ key: key.text })) {
    faults.push({ path: [...path, "keyFile"], message: "allowed: a private key in PEM, not encrypted" });
  }
  if (faults.length > 0 || cert?.kind !== "read" || key?.kind !== "read") return faults;
  if (isAccepted({ cert: cert.text, key: key.text })) return [];
  return [{ path: [...path, "keyFile"], message: "this is not the key of the certificate in certFile" }];
}

/** An empty text would count as none given. */
function isAccepted(texts: { readonly cert?: string; readonly key?: string }): boolean {
  try {
    createSecureContext(texts);
    return Object.values(texts).every((text) => text.includes("-----BEGIN"));
  } catch {
    return false;
  }
}

export function checkServerAuth({ auth }: SoundServer, scope: ServerScope): Fault[] {
  const path = ["server", "auth"];
  switch (auth?.type) {
    case "token": {
      const value = auth.value === undefined ? undefined : scope.valueOf(auth.value);
      if (value === undefined || /^[\x21-\x7E]{1,4096}$/u.test(value)) return [];
      const message = "allowed: 1 to 4096 printable ASCII characters without spaces";
      return [{ path: [...path, "value"], message }];
    }
    case "basic": {
      const { username, password } = auth;
      const name = username === undefined ? undefined : scope.valueOf(username);
      const word = password === undefined ? undefined : scope.valueOf(password);
      return [
        ...(name === undefined || /^[^:\p{Cc}]{1,256}$/u.test(name)
          ? []
          : [{ path: [...path, "username"], message: "allowed: 1 to 256 characters without a colon" }]),
        ...(word === undefined || /^[^\p{Cc}]{1,4096}$/u.test(word)
          ? []
          : [{ path: [...path, "password"], message: "allowed: 1 to 4096 printable characters" }]),
      ];
    }
    case "jwt":
      return checkTokenKeys(auth, scope);
    case "none":
    case undefined:
      return [];
  }
}

function checkTokenKeys(
  auth: Extract<NonNullable<SoundServer["auth"]>, { type?: "jwt" | undefined }>,
  { context }: ServerScope,
): Fault[] {
  const path = ["server", "auth", "keyFile"];
  const faults: Fault[] = [];
  const hasBoth = "jwksUri" in auth && "keyFile" in auth;
  const hasNone = !("jwksUri" in auth) && !("keyFile" in auth);
  if (hasBoth) faults.push({ path, message: "excluded by jwksUri: give one of them" });
  if (hasNone) faults.push({ path: ["server", "auth", "jwksUri"], message: "missing, this or keyFile" });
  const uri = ["server", "auth", "jwksUri"];
  if (auth.jwksUri !== undefined && checkUrl(auth.jwksUri, uri).length > 0) {
    faults.push({ path: uri, message: "allowed: an http:// or https:// URL" });
  }
  if (context.withoutSecrets) return faults;
  const file = readText(auth.keyFile, { path, context });
  if (file?.kind === "fault") return [...faults, file.fault];
  const parsed = file === null ? null : parseKeyFile(file.text);
  return parsed?.kind === "unusable" ? [...faults, { path, message: parsed.message }] : faults;
}

/** Its default is known only where the relay runs. */
export function checkControlSocket({ server, state }: SoundFile, context: ConfigContext): Fault[] {
  if (context.withoutSecrets) return [];
  const stateDirectory = stateDirectoryOf(state?.directory, context);
  const socket = controlSocketOf(server?.controlSocket, { context, stateDirectory });
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return [];
  const message = `${socket} has more than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have`;
  return [{ path: ["server", "controlSocket"], message }];
}

/** Null: no file is named. */
function readText(
  name: string | undefined,
  { path, context }: { path: Path; context: ConfigContext },
): FileText | null {
  if (name === undefined) return null;
  const file = resolve(context.directory, name);
  try {
    return { kind: "read", text: context.readFile(file) };
  } catch (error) {
    return { kind: "fault", fault: { path, message: `cannot read ${file}: ${reasonOf(error)}` } };
  }
}
