// `relay reference`: manual pages, tables of config keys, metrics and errors, permissions, alert rules, a dashboard, completions.

import { RelayError } from "#lib/errors.ts";
import { toBash, toFish, toZsh } from "./completions.ts";
import { toManual } from "./manual.ts";
import errors from "./reference-errors.txt" with { type: "file" };
import metrics from "./reference-metrics.txt" with { type: "file" };
import symptoms from "./reference-symptoms.txt" with { type: "file" };
import permissions from "./reference-permissions.txt" with { type: "file" };
import type { Output } from "./output.ts";
import { type Described, type ReferenceEntry, toEntries } from "./reference.ts";

interface ReferenceOptions {
  readonly format: string;
  /** Of the manual: 1 is the command, 5 the config file. */
  readonly section: string;
}

type Format = (entries: readonly ReferenceEntry[], section: string) => string | Promise<string>;

const FORMATS: Readonly<Record<string, Format>> = {
  config: async () => {
    const { describeConfig } = await import("#schema/describe.ts");
    return describeConfig()
      .map(({ name, markdown }) => `## ${name}\n\n${markdown.trim()}\n`)
      .join("\n");
  },
  metrics: () => Bun.file(metrics).text(),
  errors: async () => {
    const { describeConnectionFaults, describeRequestFaults } = await import("#nats/fault-words.ts");
    const [callbacks, symptomsText] = await Promise.all([Bun.file(errors).text(), Bun.file(symptoms).text()]);
    return [callbacks, describeConnectionFaults(), describeRequestFaults(), symptomsText].join("\n");
  },
  permissions: () => Bun.file(permissions).text(),
  alerts: async () => {
    const { ALERTS, toAlertRules } = await import("./alerts.ts");
    return toAlertRules(ALERTS);
  },
  dashboard: async () => {
    const { PANELS, toDashboard } = await import("./dashboard.ts");
    return toDashboard(PANELS);
  },
  man: async (entries, section) => {
    if (section === "1") return toManual(entries);
    if (section !== "5") throw new RelayError("usage", `The manual has sections 1 and 5, found ${section}`);
    const { toConfigManual } = await import("./config-manual.ts");
    return toConfigManual();
  },
  bash: toBash,
  zsh: toZsh,
  fish: toFish,
};

const REFERENCE_FORMATS: readonly string[] = Object.keys(FORMATS);

/** Returns the exit code. Throws a RelayError for a format that is none. */
export async function runReference(
  program: Described,
  { format, section }: ReferenceOptions,
  io: Output,
): Promise<number> {
  const print = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (print === undefined) {
    throw new RelayError("usage", `Cannot print ${format}: allowed are ${REFERENCE_FORMATS.join(", ")}`);
  }
  io.stdout(
    await print(
      toEntries(program).filter(({ path }) => path !== "complete"),
      section,
    ),
  );
  return 0;
}
