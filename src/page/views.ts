// The views of the page: path, title, and a line that says what each is for.

export interface PageView {
  readonly name: string;
  /** Below the page's own address; empty: that address itself. */
  readonly path: string;
  readonly title: string;
  readonly lead: string;
  /** In the navigation. */
  readonly isListed: boolean;
  /** Not on the page of consumers. */
  readonly isForOperators: boolean;
}

const LISTED = { isListed: true, isForOperators: false };
const INNER = { isListed: false, isForOperators: false };

export const VIEWS = [
  {
    ...LISTED,
    name: "overview",
    path: "",
    title: "Overview",
    lead: "Every subscription, trouble first.",
  },
  {
    ...LISTED,
    name: "deliveries",
    path: "/deliveries",
    title: "Deliveries",
    lead: "What was sent to callbacks and what they answered, newest first.",
  },
  {
    ...LISTED,
    name: "dead-letters",
    path: "/dead-letters",
    title: "Dead letters",
    lead: "Messages that callbacks did not take: look at one, replay it, or purge it.",
  },
  {
    ...LISTED,
    name: "replays",
    path: "/replays",
    title: "Replays",
    lead: "Messages that are sent once more, newest first.",
  },
  {
    ...LISTED,
    isForOperators: true,
    name: "logging",
    path: "/logging",
    title: "Logging",
    lead: "How much of each delivery is recorded, and more of it for a while.",
  },
  {
    ...INNER,
    isForOperators: true,
    name: "hosts",
    path: "/hosts",
    title: "Hosts",
    lead: "The relays of the NATS account, trouble first.",
  },
  {
    ...INNER,
    name: "new-subscription",
    path: "/new-subscription",
    title: "New subscription",
    lead: "Messages of a stream, pushed to a callback.",
  },
  { ...INNER, name: "subscription", path: "/subscriptions/:id", title: "Subscription", lead: "" },
  {
    ...INNER,
    name: "edit-subscription",
    path: "/subscriptions/:id/edit",
    title: "Edit subscription",
    lead: "Saving replaces the whole definition. No message is lost.",
  },
  { ...INNER, name: "delivery", path: "/deliveries/:id", title: "Delivery", lead: "" },
  { ...INNER, name: "dead-letter", path: "/dead-letters/:id", title: "Dead letter", lead: "" },
  { ...INNER, name: "replay", path: "/replays/:id", title: "Replay", lead: "" },
] as const satisfies readonly PageView[];

/** For every other address. */
export const UNKNOWN_VIEW: PageView = {
  ...INNER,
  name: "unknown",
  path: "/",
  title: "There is no such page",
  lead: "The address may be mistyped, or may belong to something that is gone.",
};
