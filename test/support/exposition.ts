// Prometheus' text format (version 0.0.4), read as strictly as it is written down: whatever is not in order throws.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const NUMBER = /^(?:[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf)|NaN|Nan)$/;
const TYPES: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

/** In the order of the text. Each family has its HELP and its TYPE, once and before its samples; no sample comes twice. */
export function parseExposition(text: string): readonly Family[] {
  if (!text.endsWith("\n")) throw new Error("The last line has no end");
  const families: (Omit<Family, "samples"> & { readonly samples: Sample[] })[] = [];
  const seen = new Set<string>();
  let help: { readonly name: string; readonly text: string } | null = null;
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (help !== null) throw new Error(`HELP without TYPE: ${line}`);
      help = { name, text: rest };
    } else if (keyword === "TYPE") {
      if (help?.name !== name) throw new Error(`TYPE without its HELP: ${line}`);
      if (families.some((family) => family.name === name)) throw new Error(`A second family ${name}`);
      if (!(rest in TYPES)) throw new Error(`Unknown type: ${line}`);
      families.push({ name, help: help.text, type: rest, samples: [] });
      help = null;
    } else {
      const family = families.at(-1);
      const sample = parseSample(line);
      const isOwn =
        family !== undefined && (TYPES[family.type] ?? []).some((end) => family.name + end === sample.name);
      if (!isOwn || help !== null) throw new Error(`A sample outside of its family: ${line}`);
      const labels = Object.entries(sample.labels).map((label) => label.join("="));
      const key = `${sample.name} ${labels.toSorted().join()}`;
      if (seen.has(key)) throw new Error(`The same sample twice: ${line}`);
      seen.add(key);
      family.samples.push(sample);
    }
  }
  if (help !== null) throw new Error(`HELP without TYPE: ${help.name}`);
  for (const family of families) checkFamily(family);
  return families;
}

function parseSample(line: string): Sample {
  const [, name, labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !NUMBER.test(value)) throw new Error(`Unreadable line: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, key = "", escaped = ""] = LABEL.exec(labelText) ?? [];
    if (key === "" || key in labels) throw new Error(`Unreadable labels: ${line}`);
    labels[key] = escaped.replaceAll(/\\(.)/g, (_, character: string) =>
      character === "n" ? "\n" : character,
    );
  }
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}

/** What Prometheus' naming conventions ask for, and what makes a histogram one. */
function checkFamily({ name, type, samples }: Family): void {
  if (name.endsWith("_total") !== (type === "counter")) throw new Error(`${name} is a ${type}`);
  if (type !== "gauge" && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below 0`);
  if (type !== "histogram") return;
  for (const count of samples.filter((sample) => sample.name === `${name}_count`)) {
    const buckets = samples.filter(
      (sample) => sample.name === `${name}_bucket` && isOf(sample.labels, count.labels),
    );
    const bounds = buckets.map(({ labels }) => Number(labels["le"]?.replace("+Inf", "Infinity")));
    const isRising = buckets.every(
      ({ value }, index) =>
        index === 0 ||
        (value >= (buckets[index - 1]?.value ?? 0) && (bounds[index] ?? 0) > (bounds[index - 1] ?? 0)),
    );
    const isWhole = bounds.at(-1) === Infinity && buckets.at(-1)?.value === count.value;
    if (!isRising || !isWhole) throw new Error(`${name} is no histogram: ${JSON.stringify(count.labels)}`);
  }
}

function isOf(labels: Sample["labels"], wanted: Sample["labels"]): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** The metrics that a PromQL query names, with the labels that it selects them by. */
export function listSelectors(query: string): readonly { metric: string; labels: readonly string[] }[] {
  return [...query.matchAll(/\b(up|(?:relay|process)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, metric = "", matchers = ""]) => ({
      metric,
      labels: [...matchers.matchAll(/(\w+)[=!]~?/g)].map(([, label = ""]) => label),
    }),
  );
}
