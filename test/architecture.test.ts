// The rules of the house: which room may know which, who owns a package, what is pure, how long a file gets.

import { Glob } from "bun";
import { expect, test } from "bun:test";

const SOURCE = new URL("../src/", import.meta.url).pathname;
const TESTS = new URL("./", import.meta.url).pathname;

/** From the bottom up; rooms on one floor do not know each other. */
const FLOORS: Readonly<Record<string, number>> = {
  lib: 0,
  delivery: 1,
  keystore: 1,
  systemd: 1,
  shape: 2,
  schema: 3,
  config: 4,
  wire: 5,
  callback: 5,
  nats: 5,
  "delivery-log": 5,
  bucket: 6,
  consumer: 6,
  letters: 7,
  inspect: 8,
  pipeline: 8,
  runtime: 9,
  replays: 10,
  registry: 10,
  fleet: 10,
  telemetry: 10,
  browser: 10,
  http: 11,
  page: 11,
  app: 12,
  cli: 13,
  "main.ts": 14,
};

/** Which rooms may import a package. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  "@nats-io/jetstream": ["nats", "bucket", "consumer", "letters"],
  "@nats-io/transport-node": ["nats", "bucket", "consumer", "letters"],
  hono: ["http", "page"],
  "ipaddr.js": ["delivery"],
  jsonata: ["shape"],
  re2js: ["shape"],
  jose: ["http", "callback", "bucket", "config"],
  "node-forge": ["keystore"],
  valibot: ["cli", "schema", "config", "fleet", "http", "nats", "consumer", "wire"],
  "@valibot/to-json-schema": ["schema"],
  "@humanwhocodes/momoa": ["config"],
  "fastest-levenshtein": ["schema"],
  "prom-client": ["http"],
  commander: ["cli", "main.ts"],
  "bun:sqlite": ["delivery-log"],
  "bun:ffi": ["systemd"],
};

/** Beside the files whose caption says so. */
const PURE_ROOMS: ReadonlySet<string> = new Set(["delivery", "wire"]);
/** Clock, chance, environment and I/O. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.|\bprocess\.|\bBun\.|\bconsole\.|\bfetch\(|\bset(?:Timeout|Interval)\(|\bcrypto\.(?:randomUUID|getRandomValues)|"node:(?!crypto"|url"|buffer"|net"|util")/;
const MAX_LINES = 400;
const MAX_FUNCTION_LINES = 60;
const MIN_LINES = 40;
/** Files below `MIN_LINES` that a single file imports, and why they stand alone. */
const SMALL_FILES: Readonly<Record<string, string>> = {
  "cli/licenses.ts": "a command, loaded when it is called",
  "cli/schema.ts": "a command, loaded when it is called",
  "cli/service-uninstall.ts": "the counterpart of service-install.ts",
  "cli/status-line.ts": "PURE, and tested as such",
  "http/orphans.ts": "the routes of a noun",
  "keystore/open.ts": "the way into the room",
  "lib/slices.ts": "knows nothing of keys",
  "lib/token-file.ts": "knows nothing of relays",
  "page/bundle.ts": "a macro, which runs while Relay is built",
  "wire/problem.ts": "the shape of every answer that is a fault",
};

const FORBIDDEN_NAMES = /(?:^|\/)(?:index|types|utils?|helpers?|\S+-(?:options|types|utils))\.tsx?$/;

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

const imported: ReadonlySet<string> = new Set([
  ...files.flatMap((file) => importedNames(file, "src")),
  ...(await Promise.all(
    [...new Glob("**/*.ts").scanSync(TESTS)].map(async (path) =>
      importedNames({ path, text: await Bun.file(TESTS + path).text() }, "test"),
    ),
  ).then((names) => names.flat())),
]);

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

function lineCount(text: string): number {
  return text.split("\n").length - 1;
}

function exportsOf(text: string): string[] {
  const declarations = text.matchAll(/^export (?:async )?(?:const|function\*?|interface|type|class) (\w+)/gm);
  return [...declarations].map(([, name = ""]) => name);
}

/** `path name` of everything that a file of `src/` or of `test/` imports; a file imported while it runs is used whole. */
function importedNames(
  from: { readonly path: string; readonly text: string },
  root: "src" | "test",
): string[] {
  const room = from.path.split("/")[0] ?? "";
  const pathOf = (target: string) =>
    root === "src" ? toPath({ ...from, room, imports: [] }, target) : target.slice(1);
  const named = [...from.text.matchAll(/^import (?:type )?\{([^}]*)\} from "([#.][^"]+)"/gm)].flatMap(
    ([, names = "", target = ""]) => names.split(",").map((name) => `${pathOf(target)} ${toExported(name)}`),
  );
  const whole = [...from.text.matchAll(/\bimport\(\s*"([#.][^"]+)"/g)].flatMap(([, target = ""]) => {
    const found = files.find(({ path }) => path === pathOf(target));
    return found === undefined ? [] : exportsOf(found.text).map((name) => `${found.path} ${name}`);
  });
  return [...named, ...whole];
}

/** `type Name as Other` to `Name`. */
function toExported(name: string): string {
  return /^(?:type )?(\w+)/.exec(name.trim())?.[1] ?? "";
}

interface FoundFunction {
  readonly name: string;
  /** Without those of the functions, methods and callbacks inside. */
  readonly ownLines: number;
  /** Its closure is a state machine, or a set of functions. */
  readonly isFactory: boolean;
}

const OPENING =
  /^(\s*)(?:export )?(?:async )?function\*? (\w+)|^(\s*)\S.*=> \{$|^(\s*)(?:async |get |\*)?\w+\(.*\)(?:: .+)? \{$/;
const CONTROL = /^\s*(?:\} )?(?:if|else|for|while|switch|catch)\b/;

/** By the indentation that the formatter gives. */
function functionsOf(text: string): readonly FoundFunction[] {
  const open: { name: string; indent: string; start: number; inner: number; isFactory: boolean }[] = [];
  const found: FoundFunction[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    const innermost = open.at(-1);
    if (innermost !== undefined && line.startsWith(`${innermost.indent}}`)) {
      open.pop();
      const lines = at - innermost.start + 1;
      found.push({ ...innermost, ownLines: lines - innermost.inner });
      const outer = open.at(-1);
      if (outer !== undefined) outer.inner += lines;
    }
    if (CONTROL.test(line)) continue;
    const [opening, declared, name, arrow, method] = OPENING.exec(line) ?? [];
    const indent = declared ?? arrow ?? method;
    if (opening === undefined || indent === undefined) continue;
    if (name !== undefined) for (const outer of open) outer.isFactory = true;
    open.push({ name: name ?? line.trim(), indent, start: at, inner: 0, isFactory: false });
  }
  return found;
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
  const found = violations(({ room, text }) => {
    if (!PURE_ROOMS.has(room) && !/^\/\/ .*\bPURE\b/.test(text)) return [];
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

test(`a function has at most ${MAX_FUNCTION_LINES} lines of its own; only a factory with functions inside has more`, () => {
  const found = violations(({ text }) =>
    functionsOf(text)
      .filter(({ ownLines, isFactory }) => ownLines > MAX_FUNCTION_LINES && !isFactory)
      .map(({ name, ownLines }) => `${name}() has ${ownLines} lines`),
  );
  expect(found).toEqual([]);
});

test(`a file of fewer than ${MIN_LINES} lines that a single file imports says here why it stands alone`, () => {
  const importers = Map.groupBy(
    files.flatMap((file) => file.imports.map((name) => ({ target: toPath(file, name), by: file.path }))),
    ({ target }) => target,
  );
  const small = files
    .filter(({ path, text }) => lineCount(text) < MIN_LINES && importers.get(path)?.length === 1)
    .map(({ path }) => path);
  expect(small.sort()).toEqual(Object.keys(SMALL_FILES).sort());
});

test("what is exported is imported", () => {
  expect(
    violations(({ path, text }) => exportsOf(text).filter((name) => !imported.has(`${path} ${name}`))),
  ).toEqual([]);
});

test("an exported name stands for one thing", () => {
  const owners = Map.groupBy(
    files.flatMap(({ path, text }) => exportsOf(text).map((name) => ({ name, path }))),
    ({ name }) => name,
  );
  const shared = [...owners].filter(([, of]) => of.length > 1);
  expect(shared.map(([name, of]) => `${name}: ${of.map(({ path }) => path).join(", ")}`)).toEqual([]);
});

test("only app/ builds what several rooms offer", () => {
  const found = violations(({ room, text }) => {
    const rooms = [...text.matchAll(/^import \{([^}]*)\} from "#([\w-]+)\//gm)]
      .filter(([, names = "", of]) => of !== "lib" && /(?:^|[\s,])(?:open|create)[A-Z]/.test(names))
      .map(([, , of]) => of);
    return room !== "app" && new Set(rooms).size > 1 ? [`builds parts of ${rooms.join(", ")}`] : [];
  });
  expect(found).toEqual([]);
});

test("src/README.md shows every room, and names files that are there", async () => {
  const text = await Bun.file(`${SOURCE}README.md`).text();
  const rooms = new Set(files.map(({ room }) => room));
  expect([...rooms].filter((room) => !text.includes(room.endsWith(".ts") ? room : `${room}/`))).toEqual([]);
  const named = [...text.matchAll(/`([\w-]+\/[\w-]+\.tsx?)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(20);
  expect(
    named.filter((path) => !path.startsWith("test/") && !files.some((file) => file.path === path)),
  ).toEqual([]);
});
