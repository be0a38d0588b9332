// Checks `server` beyond its schema: TLS files, credentials, length of the socket path.

import type { Fault } from "#schema/issue.ts";
import type { SoundFile } from "#schema/validate.ts";
import { type CallbackScope, checkUrl } from "./check-callback.ts";
import { checkTlsFiles, readNamedFile } from "./check-tls.ts";
import { parseKeyFile } from "./key-file.ts";
import type { ConfigContext } from "./secrets.ts";
import { controlSocketOf, MAX_SOCKET_PATH_BYTES, stateDirectoryOf } from "./state-paths.ts";

interface ServerScope extends CallbackScope {
  readonly context: ConfigContext;
}

type SoundServer = NonNullable<SoundFile["server"]>;

export function checkServerTls({ tls }: SoundServer, { context }: ServerScope): Fault[] {
  return checkTlsFiles(tls ?? {}, { path: ["server", "tls"], context });
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
  const file = readNamedFile(auth.keyFile, { path, context });
  if (file?.kind === "fault") return [...faults, file.fault];
  const parsed = file === null ? null : parseKeyFile(file.text);
  return parsed?.kind === "unusable" ? [...faults, { path, message: parsed.message }] : faults;
}

/** Checks nothing under `withoutSecrets`: this is not the relay's host then, and the default path is unknown. */
export function checkControlSocket({ server, state }: SoundFile, context: ConfigContext): Fault[] {
  if (context.withoutSecrets) return [];
  const stateDirectory = stateDirectoryOf(state?.directory, context);
  const socket = controlSocketOf(server?.controlSocket, { context, stateDirectory });
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return [];
  const message = `${socket} has more than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have`;
  return [{ path: ["server", "controlSocket"], message }];
}
