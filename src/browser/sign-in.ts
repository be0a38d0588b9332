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

/** Resolves once somebody has signed in. */
export function signIn(auth: Asked): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const error = h("p", { class: "field-error", role: "alert" });
  const submit = h("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = h("form", { class: "card sign-in" }, h("h1", {}, "Sign in"), h("p", {}, LEADS[auth]));
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

  fill(byId("main"), form);
  form.querySelector("input")?.focus();
  return promise;
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
