// `relay service`: prints, installs or uninstalls the systemd service.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { RelayError } from "#lib/errors.ts";
import { toUnit } from "#systemd/unit.ts";
import type { Output } from "./output.ts";
import { INSTALLED_BINARY, INSTALLED_UNIT, planInstall, PACKAGED_BINARY } from "./service-install.ts";
import { runSteps } from "./service-step.ts";
import { planUninstall, UNINSTALL_NOTE } from "./service-uninstall.ts";

interface ServiceOptions {
  /** Say what would be done, and do nothing. */
  readonly isDryRun: boolean;
  /** Where this program is. */
  readonly binary: string;
}

interface ServiceCommand {
  readonly usage: string;
  readonly description: string;
  /** It takes `--dry-run`. */
  readonly changes: boolean;
  /** Resolves with the exit code. Rejects with a RelayError. */
  readonly run: (options: ServiceOptions, io: Output) => Promise<number>;
}

export const SERVICE_COMMANDS: readonly ServiceCommand[] = [
  {
    usage: "print",
    description: "print the systemd unit",
    changes: false,
    async run({ binary }, io) {
      io.stdout(toUnit({ binary: binary === PACKAGED_BINARY ? binary : INSTALLED_BINARY }));
      return 0;
    },
  },
  {
    usage: "install",
    description: "install it: binary, group, first config, unit; what is there already is left alone",
    changes: true,
    async run({ binary, isDryRun }, io) {
      if (basename(binary) !== "relay") {
        throw new RelayError("usage", `Cannot install ${binary}: it is not the compiled relay`);
      }
      const note = existsSync(INSTALLED_UNIT) ? "" : INSTALL_NOTE;
      const { changed } = await runSteps(planInstall(binary), { isDryRun, what: "install the service" }, io);
      if (!isDryRun) io.stdout(changed === 0 ? "Nothing to do: it is installed\n" : note);
      return 0;
    },
  },
  {
    usage: "uninstall",
    description: "stop it, and take away the unit and the binary; config and state stay",
    changes: true,
    async run({ isDryRun }, io) {
      const { changed } = await runSteps(planUninstall(), { isDryRun, what: "uninstall the service" }, io);
      if (!isDryRun) io.stdout(changed === 0 ? "Nothing to do: it is not installed\n" : UNINSTALL_NOTE);
      return 0;
    },
  },
];

const INSTALL_NOTE = `Next:
  sudo editor /etc/relay/relay.config.json
  sudo relay check --connect --config /etc/relay/relay.config.json
  sudo systemctl start relay
`;
