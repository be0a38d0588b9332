// Signs in: sends credentials once, for a session cookie. Nothing else is shown before.

import type { CredentialsBody, SessionView } from "#wire/session.ts";
import { pathTo } from "./address.ts";
import { call } from "./api.ts";
import { byId, fill, h } from "./dom.ts";

type NamesOf<Body> = Body extends unknown ? keyof Body : never;
type Asked = Exclude<SessionView["auth"], "none">;

const LEADS: Readonly<Record<Asked, string>> = {
  token: "This relay asks for its token.",
  basic: "This relay asks for a user name and a password.",
  jwt: "This relay asks for a token of your identity provider: paste one.",
};

/** In place of the view. Resolves once somebody has signed in. */
export function signIn(auth: Asked): Promise<void> {
  const { form, signedIn } = createForm(auth, "Sign in");
  fill(byId("main"), form);
  form.querySelector("input")?.focus();
  return signedIn;
}

/** Over the page, which stays as it is: what somebody has typed there is not lost. */
export async function signInAgain(auth: Asked): Promise<void> {
  const { form, signedIn } = createForm(auth, "Your session has ended");
  const dialog = h("dialog", { class: "question", "aria-label": "Sign in again" }, form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  dialog.showModal();
  form.querySelector("input")?.focus();
  await signedIn;
  dialog.close();
  // The notices stood over the dialog.
  document.body.append(byId("toasts"));
  dialog.remove();
}

function createForm(auth: Asked, title: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const error = h("p", { class: "field-error", role: "alert" });
  const submit = h("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = h("form", { class: "card sign-in" }, h("h1", {}, title), h("p", {}, LEADS[auth]));
  form.append(...toFields(auth), error, submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit.disabled = true;
    void send(); // Never rejects.
  });

  async function send(): Promise<void> {
    const inputs = [...form.querySelectorAll("input")];
    // The fields are those that `auth` asks for.
    const body = Object.fromEntries(inputs.map(({ name, value }) => [name, value])) as CredentialsBody;
    const answer = await call("POST /session", { body });
    submit.disabled = false;
    if (answer.kind === "ok") return resolve();
    error.textContent = answer.text;
    form.querySelector("input")?.select();
  }

  return { form, signedIn: promise };
}

export async function signOut(): Promise<void> {
  await call("DELETE /session");
  location.assign(pathTo.overview());
}

function toFields(auth: Asked): readonly HTMLElement[] {
  if (auth !== "basic") return [toField({ name: "token", label: "Token", type: "password", hint: "off" })];
  return [
    toField({ name: "username", label: "User name", type: "text", hint: "username" }),
    toField({ name: "password", label: "Password", type: "password", hint: "current-password" }),
  ];
}

interface Field {
  readonly name: NamesOf<CredentialsBody>;
  readonly label: string;
  readonly type: string;
  readonly hint: string;
}

function toField({ name, label, type, hint }: Field) {
  return h(
    "label",
    { class: "field" },
    h("span", {}, label),
    h("input", { name, type, autocomplete: hint, required: true, spellcheck: "false" }),
  );
}
