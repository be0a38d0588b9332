// Follows server-sent events while its button is pressed, and shows many at once together.

import { h } from "./dom.ts";
import { notify } from "./notice.ts";

interface Following {
  readonly element: HTMLElement;
  /** For another path, where it is switched on. */
  readonly restart: () => void;
}

interface FollowingOptions<T> {
  readonly path: () => string;
  /** Nothing that comes from now on is missed. */
  readonly onBegun: () => void;
  /** Newest first. */
  readonly onItems: (items: readonly T[]) => void;
}

const SHOWN_EVERY_MS = 500;
/** Of those that come between two showings only the newest are kept. */
const MAX_WAITING = 200;

export function createFollowing<T>({ path, onBegun, onItems }: FollowingOptions<T>): Following {
  const button = h("button", { class: "button", "aria-pressed": "false", onClick: toggle }, "Follow live");
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting: T[] = [];

  function toggle(): void {
    if (source === null) start();
    else stop();
  }

  function start(): void {
    source = new EventSource(path());
    source.addEventListener("open", onBegun);
    source.addEventListener("error", () => {
      // Else the browser connects again by itself, from where it was.
      if (source?.readyState !== EventSource.CLOSED) return;
      stop();
      notify("Relay does not let this page follow: try again", "bad");
    });
    source.addEventListener("message", ({ data }: MessageEvent<string>) => take(JSON.parse(data) as T));
    button.setAttribute("aria-pressed", "true");
    button.textContent = "● Following live";
  }

  function stop(): void {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = undefined;
    waiting = [];
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Follow live";
  }

  function take(item: T): void {
    waiting.push(item);
    if (waiting.length > MAX_WAITING) waiting.shift();
    timer ??= setTimeout(show, SHOWN_EVERY_MS);
  }

  function show(): void {
    timer = undefined;
    const items = waiting.toReversed();
    waiting = [];
    onItems(items);
  }

  return {
    element: button,
    restart() {
      if (source === null) return;
      stop();
      start();
    },
  };
}
