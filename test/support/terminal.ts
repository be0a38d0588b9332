// The binary on a terminal of a test: what stands on its screen, and what is typed when it asks.

import { BINARY } from "./relay.ts";

export interface TerminalOptions {
  readonly cwd: string;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Is typed when a question stands there; null: nothing is. */
  readonly answer?: string | null;
  /** Is typed once this stands there: `\u0003` for Ctrl-C. */
  readonly typed?: { readonly after: string; readonly text: string } | null;
}

const QUESTION = "[y/N] ";

export async function runOnTerminal(
  args: readonly string[],
  { cwd, columns = 60, env = {}, answer = null, typed = null }: TerminalOptions,
): Promise<{ exitCode: number; screen: string }> {
  const awaited = answer === null ? typed : { after: QUESTION, text: answer };
  let screen = "";
  let isTyped = false;
  const child = Bun.spawn([BINARY, ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", ...env },
    terminal: {
      cols: columns,
      data(terminal, data) {
        screen += new TextDecoder().decode(data);
        if (awaited === null || isTyped || !screen.includes(awaited.after)) return;
        isTyped = true;
        terminal.write(awaited.text);
      },
    },
  });
  const exitCode = await child.exited;
  child.terminal?.close();
  return { exitCode, screen: screen.replaceAll("\r\n", "\n") };
}
