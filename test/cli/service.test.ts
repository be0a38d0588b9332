// `relay service` where nothing is installed: what it prints, what it would do, what it refuses. The rest is in test/service.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { SERVICE_COMMANDS } from "#cli/service.ts";
import { runSteps } from "#cli/service-step.ts";
import { toUnit } from "#systemd/unit.ts";
import { runRelay } from "../support/relay.ts";

function createIo() {
  const printed = { stdout: "", stderr: "" };
  const io = {
    stdout: (content: string | Uint8Array) => void (printed.stdout += content.toString()),
    stderr: (text: string) => void (printed.stderr += text),
  };
  return { io, printed };
}

const DONE = { text: "Done before", isDone: () => true, run: () => expect.unreachable() };

test("service print is the unit, for where install puts the program", async () => {
  const { exitCode, stdout } = await runRelay(["service", "print"]);
  expect([exitCode, stdout]).toEqual([0, toUnit({ binary: "/usr/local/bin/relay" })]);
});

test.each(["install", "uninstall"])(
  "service %s --dry-run says what it would do, and does nothing",
  async (name) => {
    const unit = "/etc/systemd/system/relay.service";
    const before = existsSync(unit);
    const { exitCode, stdout } = await runRelay(["service", name, "--dry-run"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^(?:Would: \S.*\n)+$|^Nothing to do\n$/);
    expect(existsSync(unit)).toBe(before);
  },
);

test("service install takes the compiled program only", async () => {
  const { io } = createIo();
  const install = SERVICE_COMMANDS.find(({ usage }) => usage === "install");
  const refused = install?.run({ binary: "/usr/bin/bun", isDryRun: true }, io);
  expect(await refused?.catch((error: unknown) => error)).toMatchObject({
    code: "usage",
    message: "Cannot install /usr/bin/bun: it is not the compiled relay",
  });
});

test("runSteps() passes over what is done, and runs nothing when dry", async () => {
  const { io, printed } = createIo();
  const open = { text: "Open", isDone: () => false, run: () => expect.unreachable() };
  expect(await runSteps([DONE, open], { isDryRun: true, what: "test" }, io)).toEqual({ changed: 1 });
  expect(printed.stdout).toBe("Would: Open\n");
});
