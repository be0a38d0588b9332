// The unit says where the program is wherever it has to, and nothing that would stop it.

import { expect, test } from "bun:test";
import { toUnit } from "#systemd/unit.ts";
import { README } from "../support/readme.ts";

const unit = toUnit({ binary: "/opt/bin/relay" });

test("toUnit() starts, reloads and allows the program where it is", () => {
  expect(unit).toContain("ExecStart=/opt/bin/relay run --config /etc/relay/relay.config.json\n");
  expect(unit).toContain("ExecReload=/opt/bin/relay reload --config /etc/relay/relay.config.json\n");
  expect(unit).toMatch(/^ExecPaths=\/opt\/bin\/relay /m);
});

test.each(["MemoryDenyWriteExecute", "LimitAS", "notify-reload"])("toUnit() does without %s", (setting) => {
  expect(unit).not.toContain(setting);
});

test("toUnit() gives credentials the names that the README has for them", async () => {
  const prefix = /^LoadCredential=(\w+):\/etc\/relay\/credentials$/m.exec(unit)?.[1] ?? "missing";
  const names = [...(await Bun.file(README).text()).matchAll(/\{ "credential": "([^"]+)" \}/g)];
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter(([, name = ""]) => !name.startsWith(`${prefix}_`))).toEqual([]);
});
