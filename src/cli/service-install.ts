// Installs the relay as a systemd service, step by step.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { CONFIG_DIRECTORY, CONFIG_FILE, CONFIG_GROUP, CREDENTIALS_DIRECTORY, toUnit } from "#systemd/unit.ts";
import { STARTER_TEXT } from "./init.ts";
import { runCommand, type Step, succeeds } from "./service-step.ts";

export const INSTALLED_BINARY = "/usr/local/bin/relay";
export const PACKAGED_BINARY = "/usr/bin/relay";
export const INSTALLED_UNIT = "/etc/systemd/system/relay.service";

export function planInstall(binary: string): readonly Step[] {
  const unit = toUnit({ binary: INSTALLED_BINARY });
  let isChanged = false;
  const changing = (step: Step): Step => ({
    ...step,
    run() {
      step.run();
      isChanged = true;
    },
  });
  return [
    changing({
      text: `Copy this program to ${INSTALLED_BINARY}`,
      isDone: () => isSameFile(binary, INSTALLED_BINARY),
      run: () => replaceFile(INSTALLED_BINARY, (path) => copyFileSync(binary, path), 0o755),
    }),
    {
      text: `Add the group ${CONFIG_GROUP}, which may read the config`,
      isDone: () => groupId() !== null,
      run: () => void runCommand(["groupadd", "--system", CONFIG_GROUP]),
    },
    directoryStep(CONFIG_DIRECTORY, { mode: 0o750, isShared: true }),
    directoryStep(CREDENTIALS_DIRECTORY, { mode: 0o700, isShared: false }),
    {
      text: `Write a first config, ${CONFIG_FILE}`,
      isDone: () => existsSync(CONFIG_FILE),
      run: () => writeFileSync(CONFIG_FILE, STARTER_TEXT, { flag: "wx", mode: 0o640 }),
    },
    {
      text: `Let the group ${CONFIG_GROUP} read ${CONFIG_FILE}`,
      isDone: () => isReadableByGroup(CONFIG_FILE),
      run() {
        chownSync(CONFIG_FILE, 0, groupId() ?? 0);
        chmodSync(CONFIG_FILE, 0o640);
      },
    },
    changing({
      text: `Write the unit, ${INSTALLED_UNIT}`,
      isDone: () => existsSync(INSTALLED_UNIT) && readFileSync(INSTALLED_UNIT, "utf8") === unit,
      run() {
        replaceFile(INSTALLED_UNIT, (path) => writeFileSync(path, unit), 0o644);
        runCommand(["systemctl", "daemon-reload"]);
      },
    }),
    {
      text: "Enable the service: it starts with the host",
      isDone: () => succeeds(["systemctl", "is-enabled", "--quiet", "relay"]),
      run: () => void runCommand(["systemctl", "enable", "--quiet", "relay"]),
    },
    {
      text: "Restart the service that runs",
      isDone: () => !isChanged || !succeeds(["systemctl", "is-active", "--quiet", "relay"]),
      run: () => void runCommand(["systemctl", "restart", "relay"]),
    },
  ];
}

function directoryStep(path: string, { mode, isShared }: { mode: number; isShared: boolean }): Step {
  const group = () => (isShared ? (groupId() ?? 0) : 0);
  return {
    text: `Make the directory ${path}, for ${isShared ? `root and ${CONFIG_GROUP}` : "root only"}`,
    isDone() {
      const found = statSync(path, { throwIfNoEntry: false });
      return found?.isDirectory() === true && (found.mode & 0o777) === mode && found.gid === group();
    },
    run() {
      mkdirSync(path, { recursive: true, mode });
      chownSync(path, 0, group());
      chmodSync(path, mode);
    },
  };
}

/** In one go: a running program cannot be written to, and nobody is to see half of it. */
function replaceFile(path: string, write: (temporary: string) => void, mode: number): void {
  const temporary = `${path}.new`;
  mkdirSync(dirname(path), { recursive: true });
  write(temporary);
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

function isSameFile(left: string, right: string): boolean {
  if (left === right) return true;
  if (!existsSync(right) || statSync(left).size !== statSync(right).size) return false;
  return readFileSync(left).equals(readFileSync(right));
}

/** Of `/etc/group`, where `groupadd` puts it. */
function groupId(): number | null {
  const line = new RegExp(`^${CONFIG_GROUP}:[^:]*:(\\d+):`, "m").exec(readFileSync("/etc/group", "utf8"));
  return line === null ? null : Number(line[1]);
}

function isReadableByGroup(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  const isForAll = (found.mode & 0o004) !== 0;
  return isForAll || (found.gid === groupId() && (found.mode & 0o040) !== 0);
}
