// Where the control socket is looked for, by the config file and the environment.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listSockets } from "#cli/control-sockets.ts";
import { RelayError } from "#lib/errors.ts";
import { temporaryDirectory } from "../support/relay.ts";

const SERVICE = "/run/relay/relay.sock";

async function socketsOf(
  text: string,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  await using directory = await temporaryDirectory();
  const named = join(directory.path, "relay.config.json");
  await writeFile(named, text);
  await writeFile(join(directory.path, "state.txt"), "by-file\n");
  return listSockets({ named, env }).map((path) => path.replace(directory.path, "HOME"));
}

test.each([
  ["nothing", {}, ["HOME/.relay/relay.sock", SERVICE]],
  [
    "a socket",
    { server: { controlSocket: "own.sock" } },
    ["HOME/own.sock", "HOME/.relay/relay.sock", SERVICE],
  ],
  ["a state directory", { state: { directory: "/var/state" } }, ["/var/state/relay.sock", SERVICE]],
  [
    "references",
    { server: { controlSocket: { env: "SOCKET" } }, state: { directory: { file: "state.txt" } } },
    ["HOME/by-env.sock", "HOME/by-file/relay.sock", SERVICE],
  ],
  [
    "references that lead nowhere",
    { server: { controlSocket: { env: "NOWHERE" } }, state: { directory: { credential: "x" } } },
    ["HOME/.relay/relay.sock", SERVICE],
  ],
  ["keys of a wrong kind", { server: { controlSocket: 7 }, state: [] }, ["HOME/.relay/relay.sock", SERVICE]],
])("listSockets() by a named config with %s", async (_what, config, expected) => {
  expect(await socketsOf(JSON.stringify(config), { SOCKET: "by-env.sock" })).toEqual(expected);
});

test("listSockets() looks past a config that is no JSON", async () => {
  expect(await socketsOf('{ "server": ')).toEqual(["HOME/.relay/relay.sock", SERVICE]);
});

test("listSockets() takes the directories that systemd gives", async () => {
  const env = { RUNTIME_DIRECTORY: "/run/one:/run/two", STATE_DIRECTORY: "/var/lib/relay" };
  expect(await socketsOf("{}", env)).toEqual(["/var/lib/relay/relay.sock", "/run/one/relay.sock", SERVICE]);
});

test("listSockets() refuses a named config that is not there: another relay might be meant", () => {
  expect(() => listSockets({ named: "/nowhere/relay.config.json", env: {} })).toThrow(
    new RelayError("unavailable", "Cannot read /nowhere/relay.config.json: no such file"),
  );
});
