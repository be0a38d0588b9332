// Builds the binary: `bun build.ts [--outdir dist] [target …]`. Without a target: `dist/relay` for this machine.
//
// Targets: linux-x64, linux-arm64, linux-x64-musl, linux-arm64-musl, darwin-x64, darwin-arm64, or all of them by `all`;
// each goes to `dist/<target>/relay`. The same commit gives the same bytes. Never strip the result: the program is in it.
// `package`: packages for Debian and others, of linux-x64 and linux-arm64, in `dist/packages`.

import { $ } from "bun";
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { findBundled, PACKAGE_NOTICES, toNotices } from "./.package/bundled.ts";
import { makePackages } from "./.package/package.ts";
import packageJson from "./package.json" with { type: "json" };

const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
] as const;
type Target = (typeof TARGETS)[number];

/** The packages are looked at once, whatever is built. */
const notices = toNotices(await findBundled());

async function build(outfile: string, target: Target | null): Promise<void> {
  const result = await Bun.build({
    entrypoints: ["src/main.ts"],
    files: { [PACKAGE_NOTICES]: notices },
    format: "esm",
    minify: true,
    sourcemap: "inline",
    bytecode: true,
    define: {
      BUILD_VERSION: JSON.stringify(packageJson.version),
      BUILD_COMMIT: JSON.stringify(await commit()),
      "process.env.NODE_ENV": JSON.stringify("production"),
    },
    compile: {
      ...(target === null ? {} : { target: `bun-${target}` }),
      outfile,
      // The working directory of an operator must not steer the program.
      autoloadDotenv: false,
      autoloadBunfig: false,
      execArgv: ["--disallow-code-generation-from-strings=strict"],
    },
  });
  if (!result.success) throw new AggregateError(result.logs, `Cannot build ${outfile}`);
  const bytes = await Bun.file(outfile).bytes();
  const digest = createHash("sha256").update(bytes).digest("hex");
  console.log(`${outfile}  ${(bytes.length / 1e6).toFixed(1)} MB  sha256 ${digest}`);
}

/** Short hash, `-dirty` with uncommitted changes; "unknown" outside of a checkout. */
async function commit(): Promise<string> {
  const hash = await $`git rev-parse --short=12 HEAD`.quiet().nothrow();
  if (hash.exitCode !== 0) return "unknown";
  const status = await $`git status --porcelain`.quiet().nothrow();
  return hash.text().trim() + (status.text() === "" ? "" : "-dirty");
}

async function buildPackages(outdir: string): Promise<void> {
  const binaryOf = (target: string) => `${outdir}/${target}/relay`;
  for (const target of ["linux-x64", "linux-arm64"] as const) await build(binaryOf(target), target);
  const time = await $`git log -1 --format=%ct`.quiet().nothrow();
  const made = await makePackages({
    outdir: `${outdir}/packages`,
    version: packageJson.version,
    compression: "xz",
    time: Number(time.text()) || 0,
    native: binaryOf(process.arch === "arm64" ? "linux-arm64" : "linux-x64"),
    builds: [
      { architecture: "amd64", binary: binaryOf("linux-x64") },
      { architecture: "arm64", binary: binaryOf("linux-arm64") },
    ],
  });
  for (const path of made) console.log(`${path}  ${(Bun.file(path).size / 1e6).toFixed(1)} MB`);
}

function toTargets(names: readonly string[]): readonly Target[] {
  if (names.includes("all")) return TARGETS;
  return names.map((name) => {
    const target = TARGETS.find((known) => known === name);
    if (target === undefined)
      throw new Error(`Unknown target ${name}: allowed are ${TARGETS.join(", ")}, all`);
    return target;
  });
}

const { values, positionals } = parseArgs({
  options: { outdir: { type: "string", default: "dist" } },
  allowPositionals: true,
});
if (positionals.includes("package")) {
  await buildPackages(values.outdir);
  process.exit();
}
const targets = toTargets(positionals);
if (targets.length === 0) await build(`${values.outdir}/relay`, null);
for (const target of targets) await build(`${values.outdir}/${target}/relay`, target);
