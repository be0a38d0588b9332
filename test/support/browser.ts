// A real browser for tests: Debian's Chromium, with one page after the other, and all that went wrong in them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";

export interface TestBrowser extends AsyncDisposable {
  /** A page in a context of its own: with no cookie of another one. */
  readonly open: (url: string, options?: BrowserContextOptions) => Promise<Page>;
  /** Errors of scripts, refusals of the Content-Security-Policy, requests that went elsewhere. */
  readonly faults: readonly string[];
}

export const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true };
export const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };

const STEP_MS = 20_000;

export async function startBrowser(): Promise<TestBrowser> {
  const executablePath = Bun.which("chromium");
  if (executablePath === null) throw new Error("chromium is not installed");
  const home = await mkdtemp(join(tmpdir(), "relay-browser-"));
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    env: { PATH: process.env["PATH"] ?? "", HOME: home, TZ: "UTC" },
  });
  const faults: string[] = [];
  return {
    faults,
    async open(url, options = DESKTOP) {
      const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
      context.setDefaultTimeout(STEP_MS);
      const page = await context.newPage();
      const { origin } = new URL(url);
      page.on("pageerror", ({ message }) => void faults.push(message));
      page.on("console", (line) => {
        // What a browser says of an answer that is no success is not the page's fault.
        const isAnswer = line.text().startsWith("Failed to load resource");
        if (line.type() === "error" && !isAnswer) faults.push(line.text());
      });
      // A form that was changed asks whether to leave.
      page.on("dialog", (dialog) => void dialog.accept().catch(() => undefined));
      page.on("request", (request) => {
        if (!request.url().startsWith(`${origin}/`)) faults.push(`Asked elsewhere: ${request.url()}`);
      });
      await page.goto(url);
      return page;
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}
