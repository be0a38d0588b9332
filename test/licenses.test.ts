// What the binary is made of: every package and the engine with their notices, for people and, as an SBOM, for programs.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findBundled, readEngineParts, readTexts } from "../.package/bundled.ts";
import { toSbom } from "../.package/sbom.ts";
import packageJson from "../package.json" with { type: "json" };
import { runRelay, temporaryDirectory } from "./support/relay.ts";

const packages = await findBundled();
const engine = await readEngineParts();

test("findBundled() finds all that is bundled, more than package.json names, and a text for each", () => {
  const names = packages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...Object.keys(packageJson.dependencies), "tweetnacl"]));
  for (const { name, texts, version } of packages) {
    expect([name, texts.join("").length > 200, /^\d+\./u.test(version)]).toEqual([name, true, true]);
  }
});

test("readTexts() ends the build at a package without a text", async () => {
  await using directory = await temporaryDirectory();
  const found = { name: "silent", license: "MIT" };
  expect(await readTexts(directory.path, found).catch(String)).toContain(
    "silent has no text of its licence (MIT)",
  );
  await writeFile(join(directory.path, "LICENSE.md"), "Do as you like");
  expect(await readTexts(directory.path, found)).toEqual(["Do as you like"]);
});

test("relay licenses prints the notices of every package and of the engine", async () => {
  const { exitCode, stdout } = await runRelay(["licenses"]);
  expect(exitCode).toBe(0);
  for (const { name, version, texts } of packages) {
    expect(stdout).toContain(`\n${name} ${version}: `);
    for (const text of texts) expect(stdout.includes(text.trim())).toBe(true);
  }
  expect(engine.length).toBeGreaterThan(25);
  for (const { name, license } of engine) {
    expect(stdout).toContain(`\n* ${name}: ${license}\n`);
    // Each licence that is named has its text; one of SQLite needs none.
    for (const id of license.split(/ (?:AND|WITH) /u)) {
      if (id !== "blessing") expect(stdout).toContain(`\nThe text of ${id}\n`);
    }
  }
  expect(stdout).toContain("GNU LIBRARY GENERAL PUBLIC LICENSE");
});

test("relay licenses is in the help", async () => {
  const { stdout } = await runRelay(["--help"]);
  expect(stdout).toMatch(/^ {2}licenses +print the licences of everything/mu);
});

interface Component {
  readonly type: string;
  readonly name: string;
  readonly "bom-ref": string;
  readonly licenses: readonly { readonly expression: string }[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly purl?: string;
}

test("toSbom() is CycloneDX 1.5 with all that its schema requires, and the same each time", () => {
  const options = { version: "1.2.3", time: 1_700_000_000, packages, engine };
  const text = toSbom(options);
  expect(toSbom(options)).toBe(text);
  const sbom = JSON.parse(text) as {
    readonly components: readonly Component[];
    readonly metadata: { readonly component: Component };
    readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  };
  expect(sbom).toMatchObject({
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    serialNumber: expect.stringMatching(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u,
    ) as string,
    metadata: { timestamp: "2023-11-14T22:13:20.000Z", component: { name: "relay", version: "1.2.3" } },
  });
  expect(sbom.components).toHaveLength(packages.length + engine.length);
  const types = ["application", "framework", "library"];
  for (const component of [sbom.metadata.component, ...sbom.components]) {
    expect(types).toContain(component.type);
    expect(component.name).not.toBe("");
    expect(component.licenses[0]?.expression).toMatch(/^[\w. ()+-]+$/u);
    for (const { alg, content } of component.hashes ?? []) {
      expect([alg, content]).toEqual(["SHA-512", expect.stringMatching(/^[0-9a-f]{128}$/u)]);
    }
    if (component.purl !== undefined)
      expect(component.purl).toMatch(/^pkg:(?:npm|generic)\/[\w.%/-]+@[\w.-]+$/u);
  }
  const refs = [sbom.metadata.component, ...sbom.components].map((component) => component["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
  for (const { ref, dependsOn } of sbom.dependencies) {
    for (const named of [ref, ...dependsOn]) expect(refs).toContain(named);
  }
});
