// Serves the page: its views, its script and its style, all from the binary.

import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import { toInlineComponent } from "#schema/json-schema.ts";
import { shownSubscriptionSchema } from "#schema/subscription.ts";
import { bundle } from "./bundle.ts" with { type: "macro" };
import { viewAddress, ICON_PATH, SCRIPT_PATH, Shell, STYLE_PATH } from "./shell.tsx";
import { type PageView, UNKNOWN_VIEW, VIEWS } from "./views.ts";

/** The JSON Schema of a subscription, which forms are made from. */
const SCHEMA_PATH = "/page/subscription.json";

const SCRIPT = bundle("../browser/main.ts");
const STYLE = bundle("./style.css");
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#4f5bd5"/>
<path d="M7 16h9m0 0 8-7m-8 7 8 7" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/>
<circle cx="8" cy="16" r="3.2" fill="#fff"/><circle cx="24" cy="9" r="3.2" fill="#fff"/>
<circle cx="24" cy="23" r="3.2" fill="#9fe3c0"/></svg>`;

/** Nothing from outside, nothing inline, and nobody else's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "form-action 'self'",
  "base-uri 'none'",
].join("; ");

/** Below it the page shows another relay of the fleet. */
const HOST_BASE = "/page/hosts/:host";

// Not kept: who goes back after signing out is not to see what was there.
const HEADERS = { "content-security-policy": POLICY, "cache-control": "no-store" };

/**
 * To be mounted at `/`: all its routes are for everybody, for they hold nothing of this relay. Below each of
 * `contextPaths` it serves the page of consumers, with all that it needs.
 */
export function createPage(contextPaths: readonly string[]): Hono {
  const page = new Hono();
  const schema = JSON.stringify(toInlineComponent(shownSubscriptionSchema));
  const files = [
    { path: SCRIPT_PATH, send: createFile(SCRIPT, "text/javascript; charset=utf-8") },
    { path: STYLE_PATH, send: createFile(STYLE, "text/css; charset=utf-8") },
    { path: ICON_PATH, send: createFile(ICON, "image/svg+xml") },
    { path: SCHEMA_PATH, send: createFile(schema, "application/schema+json") },
  ];
  for (const base of ["", ...contextPaths]) {
    for (const view of VIEWS) {
      if (view.isForOperators && base !== "") continue;
      const address = viewAddress(base, view.path);
      page.get(address, (context) => context.html(toHtml(view, base), 200, HEADERS));
      if (address !== "/") page.get(`${address}/`, withoutSlash);
    }
    for (const { path, send } of files) page.get(base + path, send);
  }
  for (const view of VIEWS) {
    if (view.name === "hosts") continue;
    page.get(viewAddress(HOST_BASE, view.path), (context) => {
      const host = context.req.param("host") ?? "";
      if (!/^[A-Za-z0-9._-]{1,128}$/u.test(host)) return context.html(toHtml(UNKNOWN_VIEW, ""), 404, HEADERS);
      return context.html(toHtml(view, `/page/hosts/${host}`, host), 200, HEADERS);
    });
  }
  return page;
}

/** People type it: what the address without it shows is meant. */
function withoutSlash(context: Context): Response {
  const { pathname, search } = new URL(context.req.url);
  return context.body(null, 308, { ...HEADERS, location: `${pathname.slice(0, -1)}${search}` });
}

/** For an address that is none, where a person typed or followed it. */
export async function createUnknownPage(): Promise<Response> {
  const headers = { ...HEADERS, "content-type": "text/html; charset=UTF-8" };
  return new Response(await toHtml(UNKNOWN_VIEW, ""), { status: 404, headers });
}

function toHtml(view: PageView, base: string, host = "") {
  return html`<!doctype html>${<Shell view={view} base={base} host={host} />}`;
}

/** Asked for each time, sent once: another version of Relay may answer next time. */
function createFile(text: string, contentType: string): (context: Context) => Response {
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  const headers = { "content-type": contentType, "cache-control": "no-cache", etag };
  return (context) => {
    if (context.req.header("if-none-match") === etag) return context.body(null, 304, headers);
    return context.body(text, 200, headers);
  };
}
