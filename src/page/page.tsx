// Serves the page: its views, its script and its style, all from the binary.

import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import { html } from "hono/html";
import { bundle } from "./bundle.ts" with { type: "macro" };
import { ICON_PATH, SCRIPT_PATH, Shell, STYLE_PATH } from "./shell.tsx";
import { VIEWS } from "./views.ts";

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

/** To be mounted at `/`: all its routes are for everybody, for they hold nothing of this relay. */
export function createPage(): Hono {
  const page = new Hono();
  for (const view of VIEWS) {
    page.get(view.path, (context) => {
      // Not kept: who goes back after signing out is not to see what was there.
      const headers = { "content-security-policy": POLICY, "cache-control": "no-store" };
      return context.html(html`<!doctype html>${<Shell view={view} />}`, 200, headers);
    });
  }
  page.get(SCRIPT_PATH, createFile(SCRIPT, "text/javascript; charset=utf-8"));
  page.get(STYLE_PATH, createFile(STYLE, "text/css; charset=utf-8"));
  page.get(ICON_PATH, createFile(ICON, "image/svg+xml"));
  return page;
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
