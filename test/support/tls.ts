// Certificates for tests: a CA of our own, and what it signs, written as DER by hand, for no tool may be assumed.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssuedFiles extends Issued {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificates {
  readonly ca: string;
  readonly caFile: string;
  /** For `localhost` and 127.0.0.1. */
  readonly server: IssuedFiles;
  readonly client: IssuedFiles;
  /** Another one of the same CA. */
  readonly issue: Issue;
  /** An authority below the CA. */
  readonly intermediate: () => { readonly cert: string; readonly issue: Issue };
}

type Issue = (commonName: string, names: Names, validity?: { readonly untilMs: number }) => Issued;

export interface Names {
  readonly dns?: readonly string[];
  readonly ipv4?: readonly string[];
}

interface Authority {
  readonly commonName: string;
  readonly privateKey: KeyObject;
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: "550403",
  ecdsaWithSha256: "2a8648ce3d040302",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
};

/** PEM files in `directory`, valid from yesterday until tomorrow. */
export async function createCertificates(directory: string): Promise<Certificates> {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority: Authority = { commonName: "Relay test CA", privateKey: keys.privateKey };
  const ca = authorityCertificate(authority, authority.commonName, keys.publicKey);
  const issue = issueBy(authority);
  const caFile = join(directory, "ca.pem");
  await writeFile(caFile, ca);
  const server = issue("localhost", { dns: ["localhost"], ipv4: ["127.0.0.1"] });
  return {
    ca,
    caFile,
    server: await writeIssued(directory, "server", server),
    client: await writeIssued(directory, "client", issue("relay", { dns: ["relay"] })),
    issue,
    intermediate() {
      const commonName = "Relay test intermediate";
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return {
        cert: authorityCertificate(authority, commonName, publicKey),
        issue: issueBy({ commonName, privateKey }),
      };
    },
  };
}

function authorityCertificate(issuer: Authority, commonName: string, publicKey: KeyObject): string {
  return toPem("CERTIFICATE", certificate(issuer, { commonName, publicKey, isCa: true, names: {} }));
}

function issueBy(authority: Authority): Issue {
  return (commonName, names, validity) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const der = certificate(authority, { commonName, publicKey, isCa: false, names, ...validity });
    return {
      cert: toPem("CERTIFICATE", der),
      key: toPem("PRIVATE KEY", privateKey.export({ type: "pkcs8", format: "der" })),
    };
  };
}

async function writeIssued(directory: string, name: string, issued: Issued): Promise<IssuedFiles> {
  const certFile = join(directory, `${name}.pem`);
  const keyFile = join(directory, `${name}-key.pem`);
  await writeFile(certFile, issued.cert);
  await writeFile(keyFile, issued.key);
  return { ...issued, certFile, keyFile };
}

/** RFC 5280, section 4.1. */
function certificate(
  authority: Authority,
  about: { commonName: string; publicKey: KeyObject; isCa: boolean; names: Names; untilMs?: number },
): Buffer {
  const algorithm = der(0x30, oid(OID.ecdsaWithSha256));
  const now = Date.now();
  const serial = randomBytes(8);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const signed = der(
    0x30,
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, serial),
    algorithm,
    nameOf(authority.commonName),
    der(0x30, utcTime(now - DAY_MS), utcTime(about.untilMs ?? now + DAY_MS)),
    nameOf(about.commonName),
    about.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, ...(about.isCa ? [caExtension()] : [namesExtension(about.names)]))),
  );
  const signature = sign("sha256", signed, authority.privateKey);
  return der(0x30, signed, algorithm, der(0x03, Buffer.of(0), signature));
}

function caExtension(): Buffer {
  const isCritical = der(0x01, Buffer.of(0xff));
  return der(0x30, oid(OID.basicConstraints), isCritical, der(0x04, der(0x30, der(0x01, Buffer.of(0xff)))));
}

function namesExtension({ dns = [], ipv4 = [] }: Names): Buffer {
  const names = [
    ...dns.map((name) => der(0x82, Buffer.from(name))),
    ...ipv4.map((address) => der(0x87, Buffer.from(address.split(".").map(Number)))),
  ];
  return der(0x30, oid(OID.subjectAltName), der(0x04, der(0x30, ...names)));
}

function nameOf(commonName: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid(OID.commonName), der(0x0c, Buffer.from(commonName)))));
}

function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${text}Z`));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff);
  return Buffer.concat([Buffer.of(tag), size, content]);
}

function toPem(label: string, content: Buffer): string {
  const lines = content.toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
