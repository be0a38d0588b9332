// Checks the certificate and key files of `server.tls` and `nats.tls`: their content, and whether they fit together.

import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type { Fault, Path } from "#schema/issue.ts";
import { type ConfigContext, reasonOf } from "./secrets.ts";
import { certificateWarnings } from "./store-expiry.ts";

interface TlsPlace {
  readonly path: Path;
  readonly context: ConfigContext;
}

interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

type FileText =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "fault"; readonly fault: Fault };

const FORMS = {
  caFile: "certificates in PEM",
  certFile: "a chain of certificates in PEM",
  keyFile: "a private key in PEM, not encrypted",
} as const;
const OPTIONS = { caFile: "ca", certFile: "cert", keyFile: "key" } as const;
const KEYS = ["caFile", "certFile", "keyFile"] as const;

/** Reads the files, except under `withoutSecrets`: then this is not the relay's host, and they need not exist. */
export function checkTlsFiles(tls: TlsFiles, { path, context }: TlsPlace): Fault[] {
  if (context.withoutSecrets) return [];
  const faults: Fault[] = [];
  const texts: { ca?: string; cert?: string; key?: string } = {};
  for (const key of KEYS) {
    const file = readNamedFile(tls[key], { path: [...path, key], context });
    if (file === null) continue;
    if (file.kind === "fault") faults.push(file.fault);
    else if (!isAccepted({ [OPTIONS[key]]: file.text })) {
      faults.push({ path: [...path, key], message: `allowed: ${FORMS[key]}` });
    } else texts[OPTIONS[key]] = file.text;
  }
  if (faults.length > 0 || texts.cert === undefined || texts.key === undefined || isAccepted(texts))
    return faults;
  return [{ path: [...path, "keyFile"], message: "this is not the key of the certificate in certFile" }];
}

/** Requires a PEM block: to `createSecureContext` an empty text is the same as none. */
function isAccepted(texts: { readonly ca?: string; readonly cert?: string; readonly key?: string }): boolean {
  try {
    createSecureContext(texts);
    // `createSecureContext` accepts a `ca` that is no certificate.
    if (texts.ca !== undefined) void new X509Certificate(texts.ca);
    return Object.values(texts).every((text) => text.includes("-----BEGIN"));
  } catch {
    return false;
  }
}

/** Warns of certificates that have expired or expire soon. The files must have passed `checkTlsFiles`. */
export function tlsWarnings(tls: TlsFiles | undefined, { path, context }: TlsPlace): readonly Fault[] {
  if (tls?.certFile === undefined || context.withoutSecrets) return [];
  const file = readNamedFile(tls.certFile, { path, context });
  // A placeholder names no file.
  if (file?.kind !== "read") return [];
  const certificate = new X509Certificate(file.text);
  const warnings = certificateWarnings([certificate], context.now);
  return warnings.map((message) => ({ path: [...path, "certFile"], message }));
}

/** null: no file is named. */
export function readNamedFile(name: string | undefined, { path, context }: TlsPlace): FileText | null {
  if (name === undefined) return null;
  const file = resolve(context.directory, name);
  try {
    return { kind: "read", text: context.readFile(file) };
  } catch (error) {
    return { kind: "fault", fault: { path, message: `cannot read ${file}: ${reasonOf(error)}` } };
  }
}
