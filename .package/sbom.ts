// What is in the binary, for programs: a bill of materials in CycloneDX 1.5.

import { createHash } from "node:crypto";
import packageJson from "../package.json" with { type: "json" };
import type { BundledPackage, EnginePart } from "./bundled.ts";

export interface SbomOptions {
  readonly version: string;
  /** In seconds since 1970. */
  readonly time: number;
  readonly packages: readonly BundledPackage[];
  readonly engine: readonly EnginePart[];
}

/** JSON; the same for the same parts. */
export function toSbom({ version, time, packages, engine }: SbomOptions): string {
  const self = `pkg:generic/relay@${version}`;
  const bun = `pkg:npm/bun@${packageJson.devDependencies.bun}`;
  const components = [
    ...packages.map(({ name, version: own, license, sha512 }) => ({
      type: "library",
      "bom-ref": toPurl(name, own),
      ...toNames(name),
      version: own,
      licenses: [{ expression: license }],
      hashes: [{ alg: "SHA-512", content: sha512 }],
      purl: toPurl(name, own),
    })),
    ...engine.map(({ name, license, url }) => {
      const isEngine = name === "bun";
      return {
        type: isEngine ? "framework" : "library",
        "bom-ref": isEngine ? bun : `engine:${name.replaceAll(" ", "-")}`,
        name,
        ...(isEngine ? { version: packageJson.devDependencies.bun, purl: bun } : {}),
        licenses: [{ expression: license }],
        externalReferences: [{ type: "website", url }],
      };
    }),
  ];
  const parts = components.map((component) => component["bom-ref"]);
  const linked = parts.filter((part) => part.startsWith("engine:"));
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${toUuid(JSON.stringify([self, components]))}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": self,
        name: "relay",
        version,
        licenses: [{ expression: packageJson.license }],
        purl: self,
      },
    },
    components,
    dependencies: [
      { ref: self, dependsOn: parts.filter((part) => !linked.includes(part)) },
      { ref: bun, dependsOn: linked },
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The scope of a package is its group. */
function toNames(name: string): { group?: string; name: string } {
  const [scope = "", own] = name.split("/");
  return own === undefined ? { name } : { group: scope, name: own };
}

function toPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** Version 8 of RFC 9562: of a digest of our own choice. */
function toUuid(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/u, "$1-$2-$3-$4-");
}
