// The HTML around each view. It holds nothing of the relay, so it needs no credentials.

import type { FC } from "hono/jsx";
import { type PageView, VIEWS } from "./views.ts";

export const STYLE_PATH = "/page/relay.css";
export const SCRIPT_PATH = "/page/relay.js";
export const ICON_PATH = "/page/relay.svg";

interface ShellProps {
  readonly view: PageView;
  /** The context path that it is served at; empty: it is the page of operators. */
  readonly base: string;
  /** Another relay, which it shows; empty: none. */
  readonly host?: string;
}

/** Where a view is: the overview stands at the page's own address. */
export function viewAddress(base: string, path: string): string {
  if (path !== "") return `${base}/page${path}`;
  return base === "" ? "/" : base;
}

const Navigation: FC<Required<ShellProps>> = ({ view, base, host }) => (
  <nav id="views" aria-label="Views" hidden>
    {VIEWS.filter(
      ({ isListed, isForOperators }) => isListed && (base === "" || host !== "" || !isForOperators),
    ).map(({ name, path, title }) => (
      <a href={viewAddress(base, path)} {...(name === view.name ? { "aria-current": "page" } : {})}>
        {title}
      </a>
    ))}
    {base === "" || host !== "" ? (
      <a id="hosts" href="/page/hosts" hidden {...(view.name === "hosts" ? { "aria-current": "page" } : {})}>
        Hosts
      </a>
    ) : null}
  </nav>
);

export const Shell: FC<ShellProps> = ({ view, base, host = "" }) => {
  const files = host === "" ? base : "";
  return (
    <html lang="en" data-view={view.name} data-base={base} data-host={host}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${view.title} · Relay`}</title>
        <link rel="icon" href={files + ICON_PATH} type="image/svg+xml" />
        <link rel="stylesheet" href={files + STYLE_PATH} />
        <script type="module" src={files + SCRIPT_PATH}></script>
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <header class="top">
          <a class="brand" href={viewAddress(base, "")}>
            <img src={files + ICON_PATH} alt="" width="24" height="24" />
            Relay
          </a>
          <Navigation view={view} base={base} host={host} />
          <div id="status" class="status" role="status"></div>
        </header>
        <main id="main" tabindex={-1}>
          <div id="heading" class="heading">
            <h1>{view.title}</h1>
            {view.lead === "" ? null : <p class="lead">{view.lead}</p>}
          </div>
          <div id="view" aria-busy="true">
            <p class="note">Loading …</p>
          </div>
          <noscript>
            <p class="note">
              This page needs JavaScript. `relay status` and `relay subscriptions` show the same.
            </p>
          </noscript>
        </main>
        <div id="toasts" class="toasts" role="status" aria-live="polite"></div>
      </body>
    </html>
  );
};
