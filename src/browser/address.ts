// The addresses of the page's views and of the API: those of operators, or below the context path of a consumers' page.

/** Empty: it is the page of operators of this relay. */
const BASE = document.documentElement.dataset["base"] ?? "";

/** The other relay that it shows, over NATS; empty: none. */
export const shownHost = document.documentElement.dataset["host"] ?? "";

export const isConsumersPage = BASE !== "" && shownHost === "";

export type Query = Readonly<Record<string, string | readonly string[] | null | undefined>>;

/** Those of `query` that have a value are added; of a list, each. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    [value ?? []].flat().flatMap((one) => (one === "" ? [] : [[name, one]])),
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

/** Where the API has it. */
export function toApi(path: string): string {
  // Who signs in does so here, and the list of hosts is here too.
  if (shownHost !== "" && path !== "/session" && path !== "/fleet")
    return `/api/fleet/${shownHost}/api${path}`;
  return `${isConsumersPage ? BASE : "/api"}${path}`;
}

function toPage(path: string, query: Query = {}): string {
  return withQuery(path === "" && BASE === "" ? "/" : `${BASE}${path === "" ? "" : "/page"}${path}`, query);
}

export const pathTo = {
  overview: (query?: Query) => toPage("", query),
  newSubscription: () => toPage("/new-subscription"),
  subscription: (id: string) => toPage(`/subscriptions/${encodeURIComponent(id)}`),
  editing: (id: string) => toPage(`/subscriptions/${encodeURIComponent(id)}/edit`),
  deliveries: (query?: Query) => toPage("/deliveries", query),
  delivery: (id: string) => toPage(`/deliveries/${encodeURIComponent(id)}`),
  deadLetters: (query?: Query) => toPage("/dead-letters", query),
  deadLetter: (id: string) => toPage(`/dead-letters/${encodeURIComponent(id)}`),
  replays: () => toPage("/replays"),
  replay: (id: string) => toPage(`/replays/${encodeURIComponent(id)}`),
  hosts: () => "/page/hosts",
  host: (name: string) => `/page/hosts/${encodeURIComponent(name)}`,
  schema: () => `${isConsumersPage ? BASE : ""}/page/subscription.json`,
} as const;

/** The id in the address of a view such as `/page/deliveries/4711`. */
export function idInAddress(): string {
  const [, , , id = ""] = location.pathname.slice(BASE.length).split("/");
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
