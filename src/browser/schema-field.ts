// Makes the fields of a form from a JSON Schema: texts, numbers, choices, lists and objects, with faults beside them.

import { fill, h } from "./dom.ts";
import type { FaultBoard } from "./fault-board.ts";

/** What Relay's schemas are made of. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: string | number | boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Field {
  readonly element: HTMLElement;
  /** undefined: it is left out. */
  readonly read: () => unknown;
}

interface FieldOptions {
  /** As faults name it: `configuration.headers[0].name`. */
  readonly path: string;
  readonly label: string;
  readonly value: unknown;
  readonly isRequired?: boolean;
  readonly faults: FaultBoard;
}

/** What Relay shows in place of a secret. */
const MASK = "***";
const SECRETS = /password|secret|token$|keycontent|^value of token/iu;
const LONG = /content|body|expression/iu;

let ids = 0;

export function createField(schema: Schema, options: FieldOptions): Field {
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined && choices.every(isTextOrTexts)) return createTexts(schema, options);
  if (choices !== undefined) return createChoice(schema, { ...options, choices: choices.flatMap(toChoices) });
  if (schema.enum !== undefined) return createSelect(schema, schema.enum, options);
  if (schema.type === "boolean") return createSelect(schema, ["true", "false"], options);
  if (schema.type === "array") return createList(schema, options);
  if (schema.properties !== undefined) return createObject(schema, options);
  if (schema.type === "object") return createMap(schema, options);
  return createText(schema, options);
}

/** `maxConcurrentConnections` to `Max concurrent connections`. */
export function toLabel(key: string): string {
  const words = key.replace(/([a-z\d])([A-Z])/gu, "$1 $2").toLowerCase();
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`.replace(/\b(?:url|id|jwt)\b/giu, (word) =>
    word.toUpperCase(),
  );
}

/** Texts of the schema are written for Markdown. */
function toHint({ description = "", minimum, maximum, default: preset }: Schema): string {
  const range = minimum === undefined || maximum === undefined ? [] : [`${minimum} to ${maximum}`];
  const isShort = ["string", "number", "boolean"].includes(typeof preset);
  const fallback = isShort && preset !== "" ? [`default: ${String(preset)}`] : [];
  return [description.replaceAll("`", ""), ...range, ...fallback].filter((part) => part !== "").join("; ");
}

function createLabelled(
  input: HTMLElement,
  schema: Schema,
  { path, label, isRequired = false, faults }: FieldOptions,
): HTMLElement {
  ids += 1;
  input.id = `field-${ids}`;
  const hint = toHint(schema);
  const hintId = `hint-${ids}`;
  if (hint !== "") input.setAttribute("aria-describedby", hintId);
  if (isRequired) input.setAttribute("aria-required", "true");
  return h(
    "div",
    { class: "field" },
    h(
      "span",
      { class: "field-head" },
      h("label", { class: "field-name", for: input.id }, label),
      isRequired ? h("span", { class: "needed", "aria-hidden": "true" }, " needed") : null,
    ),
    input,
    hint === "" ? null : h("small", { id: hintId }, hint),
    faults.add(path, input),
  );
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function createText(schema: Schema, options: FieldOptions): Field {
  const { path, value } = options;
  const name =
    path
      .replace(/^.*\.token\.value$/u, "token")
      .replace(/\[\d+\]$/u, "")
      .split(".")
      .at(-1) ?? "";
  const isNumber = schema.type === "integer" || schema.type === "number";
  const isMasked = value === MASK;
  const text = isMasked || value === undefined ? "" : toText(value);
  const common = {
    spellcheck: "false",
    autocomplete: "off",
    placeholder: isMasked ? "stored: enter it again" : null,
  };
  const input = LONG.test(name)
    ? h("textarea", { ...common, rows: 3 })
    : h("input", { ...common, type: isNumber ? "number" : SECRETS.test(name) ? "password" : "text" });
  input.value = text;
  return {
    element: createLabelled(input, schema, options),
    read() {
      if (input.value === "") return undefined;
      return isNumber ? Number(input.value) : input.value;
    },
  };
}

function isTextOrTexts({ type, items, enum: words }: Schema): boolean {
  return words === undefined && (type === "string" || (type === "array" && items?.type === "string"));
}

/** One text or several: each has its line. */
function createTexts(schema: Schema, options: FieldOptions): Field {
  const { value } = options;
  const input = h("textarea", { rows: 2, spellcheck: "false", placeholder: "one, or one a line" });
  input.value = Array.isArray(value) ? value.join("\n") : value === undefined ? "" : toText(value);
  return {
    element: createLabelled(input, schema, options),
    read() {
      const lines = input.value.split("\n").map((line) => line.trim());
      const given = lines.filter((line) => line !== "");
      return given.length > 1 ? given : given[0];
    },
  };
}

function createSelect(schema: Schema, words: readonly string[], options: FieldOptions): Field {
  const none = options.isRequired === true ? "choose" : "default";
  const input = h(
    "select",
    {},
    ...[["", none] as const, ...words.map((word) => [word, word] as const)].map(([value, label]) =>
      h("option", { value }, label),
    ),
  );
  input.value = options.value === undefined ? "" : toText(options.value);
  return {
    element: createLabelled(input, schema, options),
    read() {
      if (input.value === "") return undefined;
      return schema.type === "boolean" ? input.value === "true" : input.value;
    },
  };
}

interface Choice {
  readonly label: string;
  readonly schema: Schema;
  /** The word that its objects have, and under which key. */
  readonly word: { readonly key: string; readonly value: unknown } | null;
}

function toChoices(schema: Schema): readonly Choice[] {
  if (schema.type === "null") return [];
  if (schema.oneOf !== undefined || schema.anyOf !== undefined)
    return (schema.oneOf ?? schema.anyOf ?? []).flatMap(toChoices);
  if (schema.enum !== undefined)
    return schema.enum.map((value) => ({ label: value, schema: { const: value }, word: null }));
  if (schema.const !== undefined) return [{ label: String(schema.const), schema, word: null }];
  const entries = Object.entries(schema.properties ?? {});
  const [key, { const: value } = {}] = entries.find(([, inner]) => inner.const !== undefined) ?? [];
  if (key !== undefined) return value === "" ? [] : [{ label: String(value), schema, word: { key, value } }];
  const names = entries.map(([name]) => toLabel(name).toLowerCase()).join(", ");
  const kinds: Readonly<Record<string, string>> = { string: "one", array: "several" };
  return [
    {
      label: names === "" ? (kinds[schema.type ?? ""] ?? schema.type ?? "value") : names,
      schema,
      word: null,
    },
  ];
}

function fits({ schema, word }: Choice, value: unknown): boolean {
  if (schema.const !== undefined) return schema.const === value;
  if (Array.isArray(value)) return schema.type === "array";
  if (typeof value !== "object" || value === null)
    return schema.type === typeof value || isWhole(schema, value);
  if (word !== null) return Reflect.get(value, word.key) === word.value;
  const known = Object.keys(schema.properties ?? {});
  return schema.type === "object" && Object.keys(value).every((key) => known.includes(key));
}

function isWhole({ type }: Schema, value: unknown): boolean {
  return type === "integer" && typeof value === "number";
}

function createChoice(
  schema: Schema,
  options: FieldOptions & { readonly choices: readonly Choice[] },
): Field {
  const { choices, value, path, faults } = options;
  const [only] = choices;
  if (choices.length === 1 && only !== undefined)
    return createField({ ...only.schema, description: schema.description ?? "" }, options);
  const names = choices.map(({ label }, index) => h("option", { value: index }, label));
  const select = h("select", {}, h("option", { value: "" }, "default"), ...names);
  const found =
    value === undefined || value === null ? -1 : choices.findIndex((choice) => fits(choice, value));
  select.value = found < 0 ? "" : String(found);
  const inner = h("div", { class: "inner" });
  let field: Field | null = null;
  const show = (given: unknown) => {
    const choice = choices[Number(select.value)];
    const isPlain = select.value === "" || choice === undefined || choice.schema.const !== undefined;
    field = isPlain ? null : createField(choice.schema, { path, label: choice.label, value: given, faults });
    fill(inner, field?.element ?? null);
  };
  const labelled = createLabelled(select, schema, options);
  select.addEventListener("change", () => show(undefined));
  show(value);
  return {
    element: h("div", { class: "choice-field" }, labelled, inner),
    read() {
      const choice = choices[Number(select.value)];
      if (select.value === "" || choice === undefined) return undefined;
      if (choice.schema.const !== undefined) return choice.schema.const;
      const { word } = choice;
      const own = field?.read();
      return word === null ? own : { [word.key]: word.value, ...(own as object | undefined) };
    },
  };
}

/** Without those of its keys that are a fixed word: the choice around it knows that. */
function createObject(schema: Schema, { path, value, faults, label }: FieldOptions): Field {
  const given = (value ?? {}) as Readonly<Record<string, unknown>>;
  const fields = Object.entries(schema.properties ?? {})
    .filter(([, inner]) => inner.const === undefined)
    .map(([key, inner]) => {
      const isRequired = schema.required?.includes(key) === true;
      const own = { path: `${path}.${key}`, label: toLabel(key), value: given[key], isRequired, faults };
      return [key, createField(inner, own)] as const;
    });
  return {
    element: h(
      "div",
      { class: "fields", role: "group", "aria-label": label },
      ...fields.map(([, { element }]) => element),
    ),
    read() {
      const pairs = fields.map(([key, { read }]) => [key, read()]).filter(([, one]) => one !== undefined);
      return pairs.length === 0 ? undefined : Object.fromEntries(pairs as [string, unknown][]);
    },
  };
}

interface Line {
  readonly element: HTMLElement;
  readonly read: () => unknown;
}

/** Lines that can be added and removed. `toLine` makes one, of a value or empty. */
function createLines(
  options: FieldOptions,
  values: readonly unknown[],
  toLine: (value: unknown, index: number) => Line,
) {
  const { label, path, faults } = options;
  const lines: Line[] = [];
  const list = h("div", { class: "lines" });
  const add = (value: unknown) => {
    const line = toLine(value, lines.length);
    const remove = h(
      "button",
      { type: "button", class: "cross", "aria-label": `Remove this of ${label}` },
      "×",
    );
    const element = h("div", { class: "line" }, line.element, remove);
    const entry = { ...line, element };
    remove.addEventListener("click", () => {
      lines.splice(lines.indexOf(entry), 1);
      element.remove();
      button.focus();
    });
    lines.push(entry);
    list.append(element);
    return line;
  };
  const onClick = () => {
    const line = add(undefined);
    line.element.querySelector<HTMLElement>("input, select, textarea")?.focus();
  };
  const button = h(
    "button",
    { type: "button", class: "button", "aria-label": `Add to ${label}`, onClick },
    "Add",
  );
  const note = faults.add(path, button);
  for (const value of values) add(value);
  return {
    list,
    button,
    note,
    add,
    read: () => lines.map(({ read }) => read()).filter((one) => one !== undefined),
  };
}

function createList(schema: Schema, options: FieldOptions): Field {
  const { items = {} } = schema;
  const given = Array.isArray(options.value) ? (options.value as readonly unknown[]) : [];
  const { list, button, note, read } = createLines(options, given, (value, index) => {
    const path = `${options.path}[${index}]`;
    return createField(items, {
      path,
      label: `${options.label} ${index + 1}`,
      value,
      faults: options.faults,
    });
  });
  const hint = toHint(schema);
  const title = h("span", { class: "field-name" }, options.label);
  return {
    element: h(
      "div",
      { class: "field list-field", role: "group", "aria-label": options.label },
      title,
      hint === "" ? null : h("small", {}, hint),
      list,
      h("div", {}, button),
      note,
    ),
    read() {
      const all = read();
      return all.length === 0 ? undefined : all;
    },
  };
}

/** Names that the writer chooses, each with its value. */
function createMap(schema: Schema, options: FieldOptions): Field {
  const inner = typeof schema.additionalProperties === "object" ? schema.additionalProperties : {};
  const given = Object.entries((options.value ?? {}) as Readonly<Record<string, unknown>>);
  const { list, button, note, read } = createLines(options, given, (entry) => {
    const [name, value] = (entry ?? ["", undefined]) as readonly [string, unknown];
    const key = h("input", { type: "text", spellcheck: "false" });
    key.value = name;
    const path = `${options.path}.${name}`;
    const field = createField(inner, { path, label: "Value", value, faults: options.faults });
    return {
      element: h(
        "div",
        { class: "fields" },
        h("label", { class: "field" }, h("span", {}, "Name"), key),
        field.element,
      ),
      read: () => (key.value === "" ? undefined : [key.value, field.read() ?? ""]),
    };
  });
  const hint = toHint(schema);
  return {
    element: h(
      "div",
      { class: "field list-field", role: "group", "aria-label": options.label },
      h("span", { class: "field-name" }, options.label),
      hint === "" ? null : h("small", {}, hint),
      list,
      h("div", {}, button),
      note,
    ),
    read() {
      const all = read() as [string, unknown][];
      return all.length === 0 ? undefined : Object.fromEntries(all);
    },
  };
}
