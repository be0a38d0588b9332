// Every way to write a config file is told once, what leaves the content as it is never, and nothing stays behind.

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchConfig } from "#config/watch.ts";
import { eventually } from "../support/eventually.ts";

const SETTLE_MS = 20;
/** So long that only events can tell. */
const NEVER_MS = 3_600_000;
/** After so long no file system has a time that is too coarse to tell. */
const COARSEST_TIME_MS = 2000;
const NAME = "relay.config.json";
const SETUP = 'printf %s old > "$F"';

interface Place extends AsyncDisposable {
  readonly directory: string;
  readonly file: string;
}

/** `$D` is the directory, `$F` the file in it. */
async function openPlace(script = SETUP): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), "relay-watch-"));
  const directory = join(root, "etc");
  await mkdir(directory);
  const place = { directory, file: join(directory, NAME) };
  run(script, { place });
  return { ...place, [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

function run(
  script: string,
  {
    place: { directory, file },
    content = "",
  }: { place: Omit<Place, keyof AsyncDisposable>; content?: string },
): void {
  const env = { ...process.env, D: directory, F: file, CONTENT: content };
  execFileSync("sh", ["-euc", script], { env, cwd: directory });
}

interface Watched extends Disposable {
  readonly told: () => number;
}

async function watchPlace(file: string, pollMs: number): Promise<Watched> {
  let count = 0;
  const onChange = () => {
    count += 1;
  };
  const watch = await watchConfig(file, { onChange, pollMs, settleMs: SETTLE_MS });
  return { told: () => count, [Symbol.dispose]: watch.close };
}

/**
 * Resolves when another file, changed only now, has been told: by then whatever was to be told of an earlier change has
 * been.
 */
async function looksHavePassed({ directory }: Place, pollMs: number): Promise<void> {
  const file = join(directory, "control");
  await writeFile(file, "");
  using control = await watchPlace(file, pollMs);
  await writeFile(file, "changed");
  await eventually(() => control.told() === 1);
}

/** The way in words, as a script, and where needed what is there before. */
type Row = readonly [way: string, script: string, setup?: string];

const KUBERNETES =
  'mkdir ..1; printf %s old > "..1/${F##*/}"; ln -s ..1 ..data; ln -s "..data/${F##*/}" "$F"';

const EVENT_ROWS: readonly Row[] = [
  ["in place", 'printf %s "$CONTENT" > "$F"'],
  ["by appending", 'printf %s "$CONTENT" >> "$F"'],
  ["by truncating it first", ': > "$F"; printf %s "$CONTENT" >> "$F"'],
  ["by mv", 'printf %s "$CONTENT" > new; mv new "$F"'],
  ["by mv, with an old time", 'printf %s "$CONTENT" > new; touch -d 2020-01-01 new; mv new "$F"'],
  ["in place, with its old time", 'touch -r "$F" time; printf %s "$CONTENT" > "$F"; touch -r time "$F"'],
  ["by sed -i", 'sed -i "s/.*/$CONTENT/" "$F"'],
  ["by vim", 'mv "$F" "$F~"; printf %s "$CONTENT" > "$F"; rm "$F~"'],
  ["by install", 'printf %s "$CONTENT" > new; install -m 640 new "$F"'],
  ["by ln -sf", 'printf %s "$CONTENT" > "$CONTENT"; ln -sf "$CONTENT" "$F"'],
  ["by rm and creating it", 'rm "$F"; printf %s "$CONTENT" > "$F"'],
  [
    "by swapping ..data",
    'mkdir "..$CONTENT"; printf %s "$CONTENT" > "..$CONTENT/${F##*/}"; ' +
      'ln -s "..$CONTENT" ..new; old=$(readlink ..data); mv -T ..new ..data; rm -r "$old"',
    KUBERNETES,
  ],
];

const POLL_MS = 30;

const POLL_ROWS: readonly Row[] = [
  [
    "behind a link into another directory",
    'printf %s "$CONTENT" > ../elsewhere',
    'printf %s old > ../elsewhere; ln -s ../elsewhere "$F"',
  ],
  [
    "in a directory that replaces its directory",
    'mkdir ../new; printf %s "$CONTENT" > "../new/${F##*/}"; rm -r "$D"; mv ../new "$D"',
  ],
  [
    "in a directory that a link now leads to",
    'mkdir "../$CONTENT"; printf %s "$CONTENT" > "../$CONTENT/${F##*/}"; ln -sfn "$CONTENT" ../etc',
    'mv ../etc ../first; ln -s first ../etc; printf %s old > "$F"',
  ],
];

test.each([
  ...EVENT_ROWS.map(
    ([way, script, setup = SETUP]) => ["events", way, { script, setup, pollMs: NEVER_MS }] as const,
  ),
  ...POLL_ROWS.map(
    ([way, script, setup = SETUP]) => ["the poll", way, { script, setup, pollMs: POLL_MS }] as const,
  ),
])(
  "watchConfig() tells once each time, by %s, of a file written %s",
  async (_, _way, { script, setup, pollMs }) => {
    await using place = await openPlace(setup);
    using watched = await watchPlace(place.file, pollMs);
    for (const [index, content] of ["one", "two", "six"].entries()) {
      run(script, { place, content });
      await eventually(() => watched.told() === index + 1);
      await looksHavePassed(place, pollMs);
      expect(watched.told()).toBe(index + 1);
    }
  },
);

test.each([
  ["chmod", 'chmod 600 "$F"'],
  ["touch", 'touch "$F"'],
  ["the same content", 'printf %s old > "$F"'],
  ["another file with the same content", 'printf %s old > new; mv new "$F"'],
  ["removal", 'rm "$F"'],
  ["removal, and the same content again", 'rm "$F"; printf %s old > "$F"'],
  ["a directory in its place", 'rm "$F"; mkdir "$F"'],
  ["a pipe in its place", 'rm "$F"; mkfifo "$F"'],
  ["another file beside it", "printf %s new > beside"],
])("watchConfig() does not report %s", async (_, script) => {
  await using place = await openPlace();
  using watched = await watchPlace(place.file, POLL_MS);
  run(script, { place });
  await looksHavePassed(place, POLL_MS);
  expect(watched.told()).toBe(0);
  run('rm -rf "$F"; printf %s new > "$F"', { place });
  await eventually(() => watched.told() === 1);
});

test("watchConfig() reports an old file that is rewritten in place with the same size and time", async () => {
  await using place = await openPlace();
  await eventually(() => Date.now() - statSync(place.file).ctimeMs > COARSEST_TIME_MS);
  using watched = await watchPlace(place.file, POLL_MS);
  await looksHavePassed(place, POLL_MS);
  run('touch -r "$F" time; printf %s new > "$F"; touch -r time "$F"', { place });
  await eventually(() => watched.told() === 1);
});

test("watchConfig() waits until a file is written completely", async () => {
  await using place = await openPlace();
  const told: string[] = [];
  const onChange = () => void told.push(readFileSync(place.file, "utf8"));
  const watch = await watchConfig(place.file, { onChange, settleMs: 10 * SETTLE_MS, pollMs: NEVER_MS });
  using _ = { [Symbol.dispose]: watch.close };
  await truncate(place.file);
  let parts = 0;
  const writing = setInterval(() => {
    appendFileSync(place.file, ".");
    parts += 1;
    if (parts === 50) clearInterval(writing);
  }, SETTLE_MS / 2);
  await eventually(() => told.length > 0);
  expect(told).toEqual([".".repeat(50)]);
});

test("watchConfig() reports a new file, and watches a re-created directory", async () => {
  await using place = await openPlace("rmdir $D");
  using watched = await watchPlace(place.file, POLL_MS);
  const before = await countWatches();
  await mkdir(place.directory);
  await eventually(async () => (await countWatches()) === before + 1);
  await writeFile(place.file, "new");
  await eventually(() => watched.told() === 1);
  await rename(place.directory, `${place.directory}-gone`);
  await eventually(async () => (await countWatches()) === before);
  await rename(`${place.directory}-gone`, place.directory);
  await eventually(async () => (await countWatches()) === before + 1);
  await writeFile(place.file, "newer");
  await eventually(() => watched.told() === 2);
});

test("watchConfig() reports nothing after close(), and leaves no inotify watch behind", async () => {
  await using place = await openPlace();
  const before = await countWatches();
  const watched = await watchPlace(place.file, POLL_MS);
  expect(await countWatches()).toBe(before + 1);
  await writeFile(place.file, "new");
  watched[Symbol.dispose]();
  await eventually(async () => (await countWatches()) === before);
  await looksHavePassed(place, POLL_MS);
  expect(watched.told()).toBe(0);
});

test("watchConfig() reports a file that is too large without reading it", async () => {
  await using place = await openPlace();
  using watched = await watchPlace(place.file, POLL_MS);
  await truncate(place.file, 64 * 1024 ** 3);
  await eventually(() => watched.told() === 1);
  await truncate(place.file, 10);
  await eventually(() => watched.told() === 2);
});

/** How many files and directories this process watches. */
async function countWatches(): Promise<number> {
  const directory = "/proc/self/fdinfo";
  const descriptors = await readdir(directory);
  const texts = await Promise.all(
    descriptors.map((name) => readFile(join(directory, name), "utf8").catch(() => "")),
  );
  return texts.join("\n").match(/^inotify wd:/gmu)?.length ?? 0;
}
