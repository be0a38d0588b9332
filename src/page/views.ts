// The views of the page: path, title, and a line that says what each is for.

export interface PageView {
  readonly name: "overview" | "deliveries" | "dead-letters" | "logging";
  readonly path: string;
  readonly title: string;
  readonly lead: string;
}

export const VIEWS: readonly PageView[] = [
  {
    name: "overview",
    path: "/",
    title: "Overview",
    lead: "Every subscription, those in trouble first.",
  },
  {
    name: "deliveries",
    path: "/page/deliveries",
    title: "Deliveries",
    lead: "What was sent to callbacks and what they answered, newest first.",
  },
  {
    name: "dead-letters",
    path: "/page/dead-letters",
    title: "Dead letters",
    lead: "What callbacks did not take: look at it, replay it, or purge it.",
  },
  {
    name: "logging",
    path: "/page/logging",
    title: "Logging",
    lead: "How much of each delivery is recorded, and more of it for a while.",
  },
];
