// The packages that are in the binary, as the bundler tells them, each with its licence: one without a text ends the build.

import { Glob } from "bun";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import lock from "../package-lock.json" with { type: "json" };

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
  /** SHA-512 of what the registry gives, in hexadecimal. */
  readonly sha512: string;
  /** Licences and notices, as they are in it. */
  readonly texts: readonly string[];
}

/** A library that the engine links. */
export interface EnginePart {
  readonly name: string;
  readonly license: string;
  readonly url: string;
}

const ROOT = new URL("..", import.meta.url).pathname;
export const ENGINE_NOTICES = join(ROOT, "src/cli/engine-notices.txt");
export const PACKAGE_NOTICES = join(ROOT, "src/cli/package-notices.txt");

const ENTRIES = [
  { entrypoint: "src/main.ts", target: "bun" },
  { entrypoint: "src/browser/main.ts", target: "browser" },
] as const;

/** Packages that leave their text out, and who has the rights; it is that of our own licence. */
const APACHE_WITHOUT_TEXT: Readonly<Record<string, string>> = {
  "@humanwhocodes/momoa": "Copyright Nicholas C. Zakas",
};

const NOTICES = new Glob("**/{LICENSE,LICENCE,COPYING,NOTICE,license,licence}{,.md,.txt,-MIT}");

/** Throws if a package has no text, or the notices of the engine are those of another one. */
export async function findBundled(): Promise<readonly BundledPackage[]> {
  await checkEngine();
  const directories = new Set<string>();
  for (const { entrypoint, target } of ENTRIES) {
    const built = await Bun.build({ entrypoints: [join(ROOT, entrypoint)], target, metafile: true });
    if (built.metafile === undefined) throw new Error(`The bundler does not tell what is in ${entrypoint}`);
    for (const input of Object.keys(built.metafile.inputs)) {
      const directory = directoryOf(input);
      if (directory !== null) directories.add(directory);
    }
  }
  return Promise.all([...directories].sort().map(readPackage));
}

/** `node_modules/@nats-io/nuid`, of the innermost package; null: it is our own. */
function directoryOf(input: string): string | null {
  return /.*(?:^|\/)(?=node_modules\/)/u.test(input)
    ? (/(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/u.exec(input)?.[0].replace(/^.*?(?=node_modules\/)/u, "") ??
        null)
    : null;
}

async function readPackage(directory: string): Promise<BundledPackage> {
  const { name, version, license } = (await Bun.file(
    join(ROOT, directory, "package.json"),
  ).json()) as Readonly<Record<"name" | "version" | "license", string>>;
  const locked = (lock.packages as Readonly<Record<string, { readonly integrity?: string }>>)[directory];
  const integrity = locked?.integrity ?? "";
  if (!integrity.startsWith("sha512-")) throw new Error(`${name} has no checksum in package-lock.json`);
  const sha512 = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
  return { name, version, license, sha512, texts: await readTexts(join(ROOT, directory), { name, license }) };
}

/** Throws if there is none. `directory`: absolute. */
export async function readTexts(
  directory: string,
  { name, license }: Pick<BundledPackage, "name" | "license">,
): Promise<readonly string[]> {
  const paths = [...NOTICES.scanSync(directory)].filter((path) => !path.includes("node_modules/"));
  const texts = await Promise.all(paths.sort().map((path) => Bun.file(join(directory, path)).text()));
  if (texts.length > 0) return texts;
  const holder = APACHE_WITHOUT_TEXT[name];
  if (holder === undefined || license !== "Apache-2.0") {
    throw new Error(`${name} has no text of its licence (${license}): it must not be shipped without`);
  }
  return [`${holder}\n\n${await Bun.file(join(ROOT, "LICENSE")).text()}`];
}

async function checkEngine(): Promise<void> {
  const [first = ""] = (await Bun.file(ENGINE_NOTICES).text()).split("\n");
  const expected = `The engine: Bun ${packageJson.devDependencies.bun}`;
  if (first !== expected) throw new Error(`engine-notices.txt begins with "${first}", wanted: "${expected}"`);
}

/** What `relay licenses` prints of the packages. */
export function toNotices(packages: readonly BundledPackage[]): string {
  const line = "=".repeat(78);
  return packages
    .map(({ name, version, license, texts }) =>
      [
        line,
        `${name} ${version}: ${license.replace(/^\((.*)\)$/u, "$1")}`,
        line,
        "",
        ...texts.map((text) => `${text.trim()}\n`),
      ].join("\n"),
    )
    .join("\n");
}

/** As its notices list them: "* name: licence", and a line with where it comes from. */
export async function readEngineParts(): Promise<readonly EnginePart[]> {
  const text = await Bun.file(ENGINE_NOTICES).text();
  return [...text.matchAll(/^\* (.+): (.+)\n {2}(https:\S+)$/gmu)].map(
    ([, name = "", license = "", url = ""]) => ({ name, license, url }),
  );
}
