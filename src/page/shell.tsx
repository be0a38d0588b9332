// The HTML around each view. It holds nothing of the relay, so it needs no credentials.

import type { FC } from "hono/jsx";
import { type PageView, VIEWS } from "./views.ts";

export const STYLE_PATH = "/page/relay.css";
export const SCRIPT_PATH = "/page/relay.js";
export const ICON_PATH = "/page/relay.svg";

export const Shell: FC<{ view: PageView }> = ({ view }) => (
  <html lang="en" data-view={view.name}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${view.title} · Relay`}</title>
      <link rel="icon" href={ICON_PATH} type="image/svg+xml" />
      <link rel="stylesheet" href={STYLE_PATH} />
      <script type="module" src={SCRIPT_PATH}></script>
    </head>
    <body>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <img src={ICON_PATH} alt="" width="24" height="24" />
          Relay
        </a>
        <nav id="views" aria-label="Views" hidden>
          {VIEWS.map(({ name, path, title }) => (
            <a href={path} {...(name === view.name ? { "aria-current": "page" } : {})}>
              {title}
            </a>
          ))}
        </nav>
        <div id="status" class="status" role="status"></div>
      </header>
      <main id="main" tabindex={-1}>
        <div class="heading">
          <h1>{view.title}</h1>
          <p class="lead">{view.lead}</p>
        </div>
        <div id="view" aria-busy="true">
          <p class="note">Loading …</p>
        </div>
        <noscript>
          <p class="note">
            This page needs JavaScript. The same is told by `relay status` and `relay subscriptions`.
          </p>
        </noscript>
      </main>
      <div id="toasts" class="toasts" role="status" aria-live="polite"></div>
    </body>
  </html>
);
