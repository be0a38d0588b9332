// Removes the systemd service from the host, step by step.

import { existsSync, rmSync } from "node:fs";
import { CONFIG_DIRECTORY, CONFIG_GROUP } from "#systemd/unit.ts";
import { INSTALLED_BINARY, INSTALLED_UNIT } from "./service-install.ts";
import { runCommand, type Step } from "./service-step.ts";

export const UNINSTALL_NOTE = `Left, for the next installation: ${CONFIG_DIRECTORY}, the state in /var/lib/private/relay, and the
group ${CONFIG_GROUP}. To remove them too:
  sudo rm -r ${CONFIG_DIRECTORY} /var/lib/relay /var/lib/private/relay
  sudo groupdel ${CONFIG_GROUP}
`;

export function planUninstall(): readonly Step[] {
  return [
    {
      text: "Stop and disable the service; what is in flight ends first",
      isDone: () => !existsSync(INSTALLED_UNIT),
      run: () => void runCommand(["systemctl", "disable", "--now", "--quiet", "relay"]),
    },
    {
      text: `Remove the unit, ${INSTALLED_UNIT}`,
      isDone: () => !existsSync(INSTALLED_UNIT),
      run() {
        rmSync(INSTALLED_UNIT);
        runCommand(["systemctl", "daemon-reload"]);
      },
    },
    {
      text: `Remove ${INSTALLED_BINARY}`,
      isDone: () => !existsSync(INSTALLED_BINARY),
      run: () => rmSync(INSTALLED_BINARY),
    },
  ];
}
