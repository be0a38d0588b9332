// Packages of built binaries: one tree of files, as a .deb and as a .tar.zst, with checksums beside them.
//
// The binary goes in as it was built: stripped, it would be the engine without the program.

import { $ } from "bun";
import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { toUnit } from "#systemd/unit.ts";
import { findBundled, readEngineParts } from "./bundled.ts";
import { toSbom } from "./sbom.ts";

export interface PackageOptions {
  /** Where the packages go. */
  readonly outdir: string;
  readonly version: string;
  /** Of the commit, in seconds since 1970: the same commit gives the same bytes. */
  readonly time: number;
  /** Runs here: it prints its own manual, completions, schema, alert rules and dashboard. */
  readonly native: string;
  readonly builds: readonly PackagedBuild[];
  /** Of the .deb: `xz` takes a minute, and saves two thirds of its size. */
  readonly compression: "xz" | "none";
}

export interface PackagedBuild {
  /** In Debian's words. */
  readonly architecture: "amd64" | "arm64";
  readonly binary: string;
}

const PARTS = new URL(".", import.meta.url).pathname;
const SCRIPTS = ["postinst", "prerm", "postrm"];
const BINARY = "/usr/bin/relay";

/** Returns the paths of what was made. */
export async function makePackages(options: PackageOptions): Promise<readonly string[]> {
  const { outdir, native, builds } = options;
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const shared = await toSharedFiles(native, options);
  const made: string[] = [];
  for (const build of builds) made.push(...(await makePackage(build, { ...options, shared })));
  const sums = await Promise.all(made.map(async (path) => `${await sha256(path)}  ${basename(path)}\n`));
  const sumsFile = join(outdir, "SHA256SUMS");
  await writeFile(sumsFile, sums.join(""));
  return [...made, sumsFile];
}

type Files = Readonly<Record<string, string | Uint8Array>>;

/** All but the binary, by path. */
async function toSharedFiles(native: string, { version, time }: PackageOptions): Promise<Files> {
  const reference = (...args: string[]) => $`${native} reference ${args}`.text();
  const part = (name: string) => Bun.file(join(PARTS, name)).text();
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  const changelog = `relay (${version}) stable; urgency=medium\n\n  * Version ${version}.\n\n -- Relay <relay@relay.invalid>  ${date}\n`;
  return {
    "usr/lib/systemd/system/relay.service": toUnit({ binary: BINARY }),
    "usr/lib/sysusers.d/relay.conf": await part("sysusers.conf"),
    "usr/share/bash-completion/completions/relay": await reference("bash"),
    "usr/share/zsh/vendor-completions/_relay": await reference("zsh"),
    "usr/share/fish/vendor_completions.d/relay.fish": await reference("fish"),
    "usr/share/man/man1/relay.1.gz": gzipSync(await reference("man"), { level: 9 }),
    "usr/share/man/man5/relay.config.json.5.gz": gzipSync(await reference("man", "5"), { level: 9 }),
    "usr/share/relay/alerts.yml": await reference("alerts"),
    "usr/share/relay/dashboard.json": await reference("dashboard"),
    "usr/share/relay/relay.config.schema.json": await $`${native} schema`.text(),
    "usr/share/doc/relay/copyright": await part("copyright"),
    "usr/share/doc/relay/notices.gz": gzipSync(await $`${native} licenses`.text(), { level: 9 }),
    "usr/share/doc/relay/relay.cdx.json": toSbom({
      version,
      time,
      packages: await findBundled(),
      engine: await readEngineParts(),
    }),
    "usr/share/doc/relay/changelog.gz": gzipSync(changelog, { level: 9 }),
    "usr/share/doc/relay/examples/relay.config.json": await Bun.file(
      join(PARTS, "../relay.config.json"),
    ).text(),
    "usr/share/lintian/overrides/relay": await part("lintian-overrides"),
  };
}

async function makePackage(
  { architecture, binary }: PackagedBuild,
  { outdir, version, time, compression, shared }: PackageOptions & { shared: Files },
): Promise<readonly string[]> {
  const root = await mkdtemp(join(tmpdir(), "relay-package-"));
  try {
    await chmod(root, 0o755);
    for (const [path, content] of Object.entries(shared)) await put(join(root, path), content, 0o644);
    await mkdir(join(root, "usr/bin"), { recursive: true });
    await cp(binary, join(root, BINARY));
    await chmod(join(root, BINARY), 0o755);
    const archive = join(outdir, `relay-${version}-linux-${architecture}.tar.zst`);
    await $`tar --create --zstd --file ${archive} --directory ${root} --sort=name --owner=0 --group=0 --numeric-owner --mtime=@${time} usr`;
    await addControl(root, { architecture, version });
    const debian = join(outdir, `relay_${version}_${architecture}.deb`);
    await $`SOURCE_DATE_EPOCH=${time} dpkg-deb --root-owner-group -Z${compression} --build ${root} ${debian}`.quiet();
    return [debian, archive];
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function addControl(
  root: string,
  { architecture, version }: { architecture: string; version: string },
): Promise<void> {
  const files = (await readdir(join(root, "usr"), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const sums: string[] = [];
  let bytes = 0;
  for (const path of files) {
    const content = await Bun.file(path).bytes();
    bytes += content.length;
    sums.push(`${createHash("md5").update(content).digest("hex")}  ${path.slice(root.length + 1)}\n`);
  }
  const control = [
    "Package: relay",
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    "Maintainer: Relay <relay@relay.invalid>",
    "Section: net",
    "Priority: optional",
    "Depends: libc6 (>= 2.28), init-system-helpers (>= 1.61), systemd (>= 247)",
    "Suggests: nats-server",
    `Installed-Size: ${Math.ceil(bytes / 1024)}`,
    "Description: push NATS JetStream messages to HTTP callbacks",
    " Relay reads messages from NATS JetStream streams and pushes each one to the",
    " HTTP callbacks that subscribed to it. It acknowledges by quality of service,",
    " retries, and keeps what a callback rejects on a dead-letter stream. One JSON",
    " file configures it.",
    "",
  ];
  await put(join(root, "DEBIAN/control"), control.join("\n"), 0o644);
  await put(join(root, "DEBIAN/md5sums"), sums.join(""), 0o644);
  for (const name of SCRIPTS) {
    await put(join(root, "DEBIAN", name), await Bun.file(join(PARTS, name)).text(), 0o755);
  }
}

async function put(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, content);
  await chmod(path, mode);
}

async function sha256(path: string): Promise<string> {
  return createHash("sha256")
    .update(await Bun.file(path).bytes())
    .digest("hex");
}
