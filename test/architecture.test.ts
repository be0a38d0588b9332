// The rules of the house: which room may know which, who owns a package, what is pure, how long a file gets.

import { Glob } from "bun";
import { expect, test } from "bun:test";

const SOURCE = new URL("../src/", import.meta.url).pathname;

/** From the bottom up; rooms on one floor do not know each other. */
const FLOORS: Readonly<Record<string, number>> = {
  lib: 0,
  delivery: 1,
  keystore: 1,
  systemd: 1,
  config: 2,
  wire: 3,
  callback: 3,
  nats: 3,
  "delivery-log": 3,
  bucket: 4,
  consumer: 4,
  letters: 5,
  inspect: 6,
  pipeline: 6,
  runtime: 7,
  replays: 8,
  registry: 8,
  browser: 8,
  http: 9,
  page: 9,
  app: 10,
  cli: 11,
  "main.ts": 12,
};

/** Which rooms may import a package. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  "@nats-io/jetstream": ["nats", "bucket", "consumer", "letters"],
  "@nats-io/transport-node": ["nats", "bucket", "consumer", "letters"],
  hono: ["http", "page"],
  "ipaddr.js": ["delivery"],
  jose: ["http", "callback", "bucket", "config"],
  "node-forge": ["keystore"],
  valibot: ["cli", "config", "http", "nats", "consumer", "wire"],
  "@valibot/to-json-schema": ["config"],
  "@humanwhocodes/momoa": ["config"],
  "fastest-levenshtein": ["config"],
  "prom-client": ["http"],
  commander: ["cli", "main.ts"],
  "bun:sqlite": ["delivery-log"],
  "bun:ffi": ["systemd"],
};

const PURE: readonly RegExp[] = [
  /^wire\//,
  /^delivery\//,
  /^config\/schema/,
  /^callback\/(?:request|answer|answer-head|answer-reader|signature|message-headers|token-answer|token-result)\.ts$/,
  /^nats\/header-block\.ts$/,
  /^runtime\/reconcile\.ts$/,
];
/** Clock, chance, environment and I/O. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.|\bprocess\.|\bBun\.|\bconsole\.|\bfetch\(|\bset(?:Timeout|Interval)\(|\bcrypto\.(?:randomUUID|getRandomValues)|"node:(?!crypto"|url"|buffer"|net"|util")/;
const MAX_LINES = 400;
const FORBIDDEN_NAMES = /(?:^|\/)(?:index|types|utils?|helpers?)\.tsx?$/;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = await Promise.all(
  [...new Glob("**/*.{ts,tsx}").scanSync(SOURCE)].sort().map(async (path) => {
    const text = await Bun.file(SOURCE + path).text();
    return { path, room: path.split("/")[0] ?? "", text, imports: importsOf(text) };
  }),
);

/** What a file imports, types included. */
function importsOf(text: string): string[] {
  const statements = text.matchAll(
    /(?:^|\n)(?:import|export)\s(?:[\w*\s{},$]*?\sfrom\s)?\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/g,
  );
  return [...statements].map(([, named, dynamic]) => named ?? dynamic ?? "").filter((name) => name !== "");
}

/** Where an import leads, seen from `src/`; a package stays what it is. */
function toPath({ room, path }: SourceFile, name: string): string {
  if (name.startsWith("#")) return name.slice(1);
  return name.startsWith("./") ? (path === room ? "" : `${room}/`) + name.slice(2) : name;
}

function packageOf(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

function violations(find: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => find(file).map((what) => `${file.path}: ${what}`));
}

test("there are files to check, and imports in them", () => {
  expect(files.length).toBeGreaterThan(20);
  expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(50);
});

test("every room has a floor, and is flat", () => {
  expect(violations(({ room }) => (room in FLOORS ? [] : [`${room} has no floor`]))).toEqual([]);
  expect(violations(({ path }) => (path.split("/").length <= 2 ? [] : ["nested"]))).toEqual([]);
});

test("imports lead down only", () => {
  const found = violations(({ room, imports }) =>
    imports.flatMap((name) => {
      if (!name.startsWith("#")) return [];
      const target = name.slice(1).split("/")[0] ?? "";
      const isDown = (FLOORS[target] ?? Infinity) < (FLOORS[room] ?? -1);
      return isDown ? [] : [`imports ${name}`];
    }),
  );
  expect(found).toEqual([]);
});

test("no circle of imports, not even inside a room", () => {
  const importsByPath = new Map(
    files.map((file) => [file.path, file.imports.map((name) => toPath(file, name))]),
  );
  const done = new Set<string>();
  const circles: string[] = [];

  function walk(path: string, trail: readonly string[]): void {
    if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
    if (done.has(path)) return;
    done.add(path);
    for (const target of importsByPath.get(path) ?? []) walk(target, [...trail, path]);
  }

  for (const { path } of files) walk(path, []);
  expect(circles).toEqual([]);
});

test("inside a room by ./file.ts, across rooms by #room/file.ts", () => {
  const found = violations(({ room, imports }) =>
    imports.flatMap((name) => {
      if (name.startsWith("..")) return [`imports ${name}`];
      if (name.startsWith("./") && room !== "main.ts" && name.split("/").length > 2)
        return [`imports ${name}`];
      if (name.startsWith(`#${room}/`)) return [`imports ${name}`];
      const isLocal = name.startsWith(".") || name.startsWith("#");
      return isLocal && !/\.(?:tsx?|json|css|js|txt)$/.test(name)
        ? [`imports ${name} without its ending`]
        : [];
    }),
  );
  expect(found).toEqual([]);
});

test("packages have an owner", () => {
  const found = violations(({ room, imports }) =>
    imports.flatMap((name) => {
      if (name.startsWith(".") || name.startsWith("#") || name.startsWith("node:") || name === "bun")
        return [];
      return OWNERS[packageOf(name)]?.includes(room) === true ? [] : [`imports ${name}`];
    }),
  );
  expect(found).toEqual([]);
});

test("pure files see no clock, chance, environment or I/O", () => {
  const found = violations(({ path, text }) => {
    if (!PURE.some((pattern) => pattern.test(path))) return [];
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const hit = IMPURE.exec(code);
    return hit === null ? [] : [hit[0]];
  });
  expect(found).toEqual([]);
});

test("the page takes types from wire/, no code: valibot would nearly double its script", () => {
  const found = violations(({ room, text }) =>
    room === "browser" ? (text.match(/^import (?!type ).*"#wire\/.*$/gm) ?? []) : [],
  );
  expect(found).toEqual([]);
});

test("no barrels and no drawers", () => {
  expect(violations(({ path }) => (FORBIDDEN_NAMES.test(path) ? ["name"] : []))).toEqual([]);
  expect(violations(({ text }) => text.match(/^export (?:\*|\{[^}]*\}) from .*$/gm) ?? [])).toEqual([]);
});

test(`at most ${MAX_LINES} lines, the first of which is a caption`, () => {
  expect(
    violations(({ text }) => {
      const lines = text.split("\n").length - 1;
      return lines > MAX_LINES ? [`${lines} lines`] : [];
    }),
  ).toEqual([]);
  expect(violations(({ text }) => (/^(?:#!.*\n)?\/\/ \S/.test(text) ? [] : ["no caption"]))).toEqual([]);
});
