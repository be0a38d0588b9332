// A real systemd for a test, in namespaces and cgroups of its own, on a throw-away overlay of this machine's root.
//
// The network is the machine's: nats-server and receivers of the test are reached at 127.0.0.1.

import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "./eventually.ts";

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PrivateSystemd extends AsyncDisposable {
  /** Runs a shell command inside, as root. */
  readonly run: (command: string, options?: { readonly withinMs?: number }) => Promise<Finished>;
  /** The same; throws unless it ends with 0. What it printed, trimmed. */
  readonly must: (command: string, options?: { readonly withinMs?: number }) => Promise<string>;
  /** Writes a file inside, in place. */
  readonly write: (path: string, text: string) => Promise<void>;
  /** A property of `relay.service`. */
  readonly show: (property: string) => Promise<string>;
}

const SCRIPT = new URL("private-systemd.sh", import.meta.url).pathname;
const HIERARCHIES = ["systemd", "unified", "memory", "pids", "cpu", "."];
const COMMAND_LIMIT_MS = 60_000;
const PROGRAMS = ["systemctl", "unshare", "nsenter", "setpriv", "groupadd"];

/** Why there can be none here; null: there can. */
export function whyNoSystemd(): string | null {
  if (process.platform !== "linux") return "this is no Linux";
  if (process.getuid?.() !== 0) return "a private systemd needs root";
  const missing = PROGRAMS.filter((name) => Bun.which(name) === null);
  if (missing.length > 0 || !existsSync("/lib/systemd/systemd"))
    return `not installed: ${missing.join(", ")}`;
  const probe = Bun.spawnSync([
    ..."unshare --pid --fork --mount --uts --ipc --cgroup sh -c".split(" "),
    "mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r && mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r",
  ]);
  if (probe.exitCode !== 0) return `namespaces or overlays are refused: ${probe.stderr.toString().trim()}`;
  return HIERARCHIES.some((name) => existsSync(`/sys/fs/cgroup/${name}/cgroup.procs`))
    ? null
    : "there are no cgroups";
}

/** As `whyNoSystemd`, of one that limits memory. */
export function whyNoMemoryLimit(): string | null {
  const unified = "/sys/fs/cgroup/cgroup.controllers";
  const isUnified = existsSync(unified) && /\bmemory\b/.test(readFileSync(unified, "utf8"));
  const isThere = isUnified || existsSync("/sys/fs/cgroup/memory/cgroup.procs");
  return whyNoSystemd() ?? (isThere ? null : "no cgroup limits memory here");
}

/** `shared`: a directory that is seen at `/lab`. */
export async function startPrivateSystemd({ shared }: { shared: string }): Promise<PrivateSystemd> {
  const directory = await mkdtemp("/var/tmp/relay-systemd-");
  const group = `relay-test-${process.pid}-${Date.now().toString(36)}`;
  const entered = await makeCgroups(group);
  const child = Bun.spawn(
    [
      "setpriv",
      "--pdeathsig",
      "KILL",
      "bash",
      "-c",
      `for file in ${entered.map((path) => `${path}/cgroup.procs`).join(" ")}; do echo $$ > $file; done
       exec unshare --pid --fork --kill-child=KILL --mount --uts --ipc --cgroup bash ${SCRIPT} ${directory} ${shared} ${group}`,
    ],
    {
      stdin: "ignore",
      stdout: Bun.file(join(directory, "console")),
      stderr: Bun.file(join(directory, "errors")),
    },
  );
  let init = "";

  async function run(command: string, { withinMs = COMMAND_LIMIT_MS } = {}): Promise<Finished> {
    const inner = Bun.spawn(
      [
        ..."nsenter -m -p -u -i -C -t".split(" "),
        init,
        "--",
        "env",
        "-i",
        "LANG=C.UTF-8",
        PATH,
        "bash",
        "-c",
        command,
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: withinMs },
    );
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(inner.stdout).text(),
      new Response(inner.stderr).text(),
      inner.exited,
    ]);
    return { exitCode, stdout: stdout.trim(), stderr: stderr.trim() };
  }

  async function must(command: string, options?: { withinMs?: number }): Promise<string> {
    const { exitCode, stdout, stderr } = await run(command, options);
    if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${stdout}${stderr}`);
    return stdout;
  }

  async function end(): Promise<void> {
    child.kill("SIGKILL");
    await child.exited;
    for (const path of entered) await eventually(() => removeCgroup(path), { what: `an empty ${path}` });
    await rm(directory, { recursive: true, force: true });
  }

  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(await readFile(join(directory, "errors"), "utf8"));
        init = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).trim();
        const { stdout } = await run("systemctl is-system-running");
        return /running|degraded/.test(stdout);
      },
      { what: "a private systemd", withinMs: 15_000 },
    );
  } catch (error) {
    await end();
    throw error;
  }
  return {
    run,
    must,
    async write(path, text) {
      await must(`printf %s ${quote(text)} > ${path}`);
    },
    show: (property) => must(`systemctl show relay -p ${property} --value`),
    [Symbol.asyncDispose]: end,
  };
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function makeCgroups(group: string): Promise<readonly string[]> {
  const parents = HIERARCHIES.map((name) => `/sys/fs/cgroup/${name}`);
  const usable = parents.filter((parent) => existsSync(`${parent}/cgroup.procs`));
  const made = usable.map((parent) => join(parent, group));
  for (const path of made) await mkdir(path);
  return made;
}

async function removeCgroup(path: string): Promise<boolean> {
  const inner = [...new Bun.Glob("**/cgroup.procs").scanSync(path)].map((file) => join(path, file, ".."));
  for (const directory of [...new Set(inner)].sort((left, right) => right.length - left.length)) {
    await rmdir(directory);
  }
  return !existsSync(path);
}
