// Makes and edits a subscription: a form from the schema, or the JSON itself. Faults stand beside their fields.

import { parseJson } from "#lib/json.ts";
import { idInAddress, isConsumersPage, pathTo } from "./address.ts";
import { call, type CallResult, type FieldFault, type SubscriptionDetail } from "./api.ts";
import { fill, h, link } from "./dom.ts";
import { notify } from "./notice.ts";
import { writeButton } from "./permission.ts";
import { createFaultBoard, type FaultBoard } from "./fault-board.ts";
import { createField, type Field, type Schema, toLabel } from "./schema-field.ts";
import { openPanel } from "./dialog.ts";
import { openDraftTest } from "./subscription-test.ts";
import { payload } from "./payload.ts";
import type { SubscriptionView } from "#wire/subscription.ts";

type Json = Readonly<Record<string, unknown>>;

interface Editor {
  readonly element: HTMLElement;
  /** A text: why it cannot be read. */
  readonly read: () => Json | string;
}

/** Seen first; everything else is folded in, a box for each key. */
const FIRST = { top: ["id", "application"], configuration: ["entrypointId", "callbackUrl", "channel"] };
/** In the address, given by commands, or only another name of the same. */
const LEFT_OUT: ReadonlySet<string> = new Set(["status", "configuration", "entrypointConfiguration"]);

export function showNewSubscription(view: HTMLElement): void {
  void show(view, null);
}

export function showEditing(view: HTMLElement): void {
  void load();

  async function load(): Promise<void> {
    const id = idInAddress();
    document.title = `Edit ${id} · Relay`;
    const answer = await call("GET /subscriptions/:id", { id });
    if (answer.kind === "ok" && answer.body.origin === "api") return show(view, answer.body);
    view.removeAttribute("aria-busy");
    const text = answer.kind === "ok" ? "It is defined in the config file: edit it there." : answer.text;
    fill(view, h("p", { class: "banner bad", role: "alert" }, text));
  }
}

/** `present` null: a new one. */
async function show(view: HTMLElement, present: SubscriptionDetail | null): Promise<void> {
  const [schema, entrypoints] = await Promise.all([readSchema(), readEntrypoints()]);
  view.removeAttribute("aria-busy");
  if (schema === null)
    return fill(view, h("p", { class: "banner bad", role: "alert" }, "Relay does not answer"));
  const general = h("p", { class: "banner bad", role: "alert", hidden: true });
  const board = createFaultBoard();
  const place = h("div", { class: "form-body" });
  const toForm = (value: Json) => createForm({ schema, entrypoints, board, value, isNew: present === null });
  let editor = toForm(present === null ? {} : toFlat({ ...present.definition }));
  let isJson = false;
  const mode = h(
    "button",
    { type: "button", class: "button quiet", "aria-pressed": "false", onClick: switchMode },
    "Edit as JSON",
  );
  const save = writeButton(
    { class: "button primary", type: "submit" },
    present === null ? "Make it" : "Save",
  );
  const tryOut = writeButton({ class: "button", onClick: () => void testIt() }, "Test before saving");
  const back = present === null ? pathTo.overview() : pathTo.subscription(present.id);
  const cancel = link(back, "Cancel");
  cancel.className = "button";
  const form = h("form", { class: "form", novalidate: true, "aria-label": "Subscription" }, general, place);
  form.append(h("div", { class: "actions form-actions" }, save, tryOut, cancel, mode));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  fill(place, editor.element);
  fill(view, form);
  let isChanged = false;
  form.addEventListener("input", () => (isChanged = true));
  addEventListener("beforeunload", (event) => {
    if (isChanged) event.preventDefault();
  });

  function complain(text: string): void {
    general.hidden = text === "";
    general.textContent = text;
    if (text !== "") general.scrollIntoView({ block: "center" });
  }

  function switchMode(): void {
    const value = editor.read();
    if (typeof value === "string") return complain(value);
    complain("");
    isJson = !isJson;
    editor = isJson ? createJsonEditor(value) : toForm(value);
    mode.setAttribute("aria-pressed", String(isJson));
    fill(place, editor.element);
  }

  async function submit(): Promise<void> {
    const body = editor.read();
    if (typeof body === "string") return complain(body);
    save.disabled = true;
    const answer: CallResult<SubscriptionView> = await (present === null
      ? call("POST /subscriptions", { body })
      : call("PUT /subscriptions/:id", { id: present.id, body, ifRevision: present.revision }));
    save.disabled = false;
    if (answer.kind === "ok") {
      isChanged = false;
      return location.assign(pathTo.subscription(answer.body.id));
    }
    showFaults(answer.detail, answer.faults);
  }

  /** As it stands in the form now. */
  async function testIt(): Promise<void> {
    const body = editor.read();
    if (typeof body === "string") return complain(body);
    tryOut.disabled = true;
    const faults = await openDraftTest(body);
    tryOut.disabled = false;
    if (faults !== null) return showFaults("The subscription has faults", faults);
    board.show([]);
    complain("");
  }

  function showFaults(detail: string, faults: readonly FieldFault[]): void {
    const rest = board.show(faults);
    const lines = rest.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
    complain([detail, ...lines].join(". "));
    const invalid = form.querySelector<HTMLElement>('[aria-invalid="true"]');
    (invalid ?? general).scrollIntoView({ block: "center" });
    notify(detail, "bad");
  }
}

async function readSchema(): Promise<Schema | null> {
  try {
    return (await (await fetch(pathTo.schema())).json()) as Schema;
  } catch {
    return null;
  }
}

/** Their ids; null: the caller need not name one, or may not read them. */
async function readEntrypoints(): Promise<readonly string[] | null> {
  if (isConsumersPage) return null;
  const answer = await call("GET /config");
  if (answer.kind === "refused") return null;
  const { entrypoints = [] } = answer.body as { entrypoints?: readonly { id?: string; type: string }[] };
  return entrypoints.map(({ id, type }) => id ?? type);
}

/** The same keys may stand in a place of their own: the form knows one. Consumers decide no status. */
function toFlat(definition: Json): Json {
  const { configuration = {}, ...rest } = definition as { readonly configuration?: Json };
  const { entrypointConfiguration = {}, ...own } = configuration as {
    readonly entrypointConfiguration?: Json;
  };
  const all = { ...rest, configuration: { ...own, ...entrypointConfiguration } };
  return isConsumersPage ? withoutAbsent({ ...all, status: undefined }) : all;
}

interface FormOptions {
  readonly schema: Schema;
  readonly entrypoints: readonly string[] | null;
  readonly board: FaultBoard;
  readonly value: Json;
  readonly isNew: boolean;
}

function createForm({ schema, entrypoints, board, value, isNew }: FormOptions): Editor {
  const configuration = (value["configuration"] ?? {}) as Json;
  const inner = schema.properties?.["configuration"] ?? {};
  const parts = { top: new Map<string, Field>(), configuration: new Map<string, Field>() };
  const make = (group: keyof typeof parts, key: string, own: Schema): Field => {
    const isTop = group === "top";
    const field = createField(own, {
      path: isTop ? key : `configuration.${key}`,
      label: LABELS[key] ?? toLabel(key),
      value: isTop ? value[key] : configuration[key],
      isRequired: key === "callbackUrl" || key === "entrypointId",
      faults: board,
    });
    parts[group].set(key, field);
    return field;
  };
  const schemaOf = (key: string, own: Schema): Schema =>
    key === "entrypointId" && entrypoints !== null ? { ...own, enum: entrypoints } : own;
  const first = (group: keyof typeof parts, of: Schema) =>
    Object.entries(of.properties ?? {})
      .filter(([key]) => FIRST[group].includes(key) && isAsked(key, isNew))
      .map(([key, own]) => make(group, key, schemaOf(key, own)).element);
  const folded = (group: keyof typeof parts, of: Schema) =>
    Object.entries(of.properties ?? {})
      .filter(([key]) => !FIRST[group].includes(key) && !LEFT_OUT.has(key))
      .map(([key, own]) => toBox(key, make(group, key, own), isTopGiven(group, key)));
  const isTopGiven = (group: keyof typeof parts, key: string) =>
    (group === "top" ? value[key] : configuration[key]) !== undefined;
  const element = h(
    "div",
    { class: "form-body" },
    h("div", { class: "card fields first" }, ...first("top", schema), ...first("configuration", inner)),
    h("div", { class: "boxes" }, ...folded("configuration", inner), ...folded("top", schema)),
  );
  return {
    element,
    read() {
      const own = { ...configuration, ...readAll(parts.configuration) };
      // What has no field here, such as the id of the one that is edited, stays.
      return { ...value, ...readAll(parts.top), configuration: withoutAbsent(own) };
    },
  };
}

/** A consumer's application, and the entrypoint of a context path, are known; an id does not change. */
function isAsked(key: string, isNew: boolean): boolean {
  if (key === "id") return isNew;
  return !isConsumersPage || (key !== "application" && key !== "entrypointId");
}

const LABELS: Readonly<Record<string, string>> = {
  callbackUrl: "Callback URL",
  entrypointId: "Entrypoint",
  id: "Id",
  auth: "Authentication",
  ssl: "TLS",
  channel: "Channel",
  startingAt: "Starting at",
  endingAt: "Ending at",
};

function toBox(key: string, field: Field, isOpen: boolean): HTMLElement {
  const title = LABELS[key] ?? toLabel(key);
  const more = key === "signature" ? createSigningKey(field.element) : null;
  return h(
    "details",
    { class: "card box", open: isOpen, "data-key": key },
    h("summary", {}, title, isOpen ? h("small", {}, " set") : null),
    more,
    field.element,
  );
}

/** A key that is not given any more hides the one from before. */
function readAll(fields: ReadonlyMap<string, Field>): Json {
  return Object.fromEntries([...fields].map(([key, { read }]) => [key, read()]));
}

function withoutAbsent(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}

function createJsonEditor(value: Json): Editor {
  const input = h("textarea", {
    class: "json",
    rows: 24,
    spellcheck: "false",
    "aria-label": "Definition as JSON",
  });
  input.value = JSON.stringify(value, null, 2);
  return {
    element: input,
    read() {
      const parsed = parseJson(input.value);
      const isRead = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      return isRead ? (parsed as Json) : "This is no JSON object: look for a comma or a quote";
    },
  };
}

/** As Standard Webhooks recommends it: HMAC-SHA256 with a key as long as its hash. */
const KEY_BYTES = 32;

/** A button that adds a key to `fields`, those of `signature`. */
function createSigningKey(fields: HTMLElement): HTMLElement {
  const onClick = () => {
    fields.querySelector<HTMLButtonElement>('button[aria-label^="Add to"]')?.click();
    const input = [...fields.querySelectorAll("input")].at(-1);
    if (input === undefined) return;
    input.value = makeKey();
    showOnce(input.value);
  };
  const text = "Receivers check with it that a request comes from this relay.";
  return h(
    "div",
    { class: "signing" },
    h("button", { type: "button", class: "button", onClick }, "Make a signing key"),
    h("small", {}, text),
  );
}

function makeKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

function showOnce(key: string): void {
  const { body } = openPanel({ title: "Your signing key" });
  fill(
    body,
    h(
      "p",
      {},
      "Copy it now and give it to your receiver. It was made in this browser, and is not shown again: Relay stores it sealed.",
    ),
    payload({ text: key, isCut: false }),
  );
}
