// The addresses of the page's views and of the API: those of operators, or below the context path of a consumers' page.

/** Empty: it is the page of operators. */
const BASE = document.documentElement.dataset["base"] ?? "";

export const isConsumersPage = BASE !== "";

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
  return `${isConsumersPage ? BASE : "/api"}${path}`;
}

function toPage(path: string, query: Query = {}): string {
  return withQuery(
    path === "" && !isConsumersPage ? "/" : `${BASE}${path === "" ? "" : "/page"}${path}`,
    query,
  );
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
  schema: () => `${BASE}/page/subscription.json`,
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
