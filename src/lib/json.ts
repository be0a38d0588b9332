// Parses and indents JSON, and reads text, from untrusted sources: with limits, and without throwing on invalid JSON.

/** undefined: invalid JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const MAX_DEPTH = 40;
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/gu;

/**
 * Indents JSON by two blanks for each level. Changes white space only, so that long numbers stay exact. null: the text is no
 * JSON, or nested deeper than 40 levels, whose indents would fill the memory.
 */
export function indentJson(text: string): string | null {
  if (parseJson(text) === undefined) return null;
  let depth = 0;
  let before = "";
  let result = "";
  const newLine = () => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(TOKEN)) {
    const isAfterOpening = before === "{" || before === "[";
    if (token === "}" || token === "]") {
      depth -= 1;
      if (!isAfterOpening) result += newLine();
    } else if (isAfterOpening || before === ",") result += newLine();
    if (token === "{" || token === "[") depth += 1;
    if (depth > MAX_DEPTH) return null;
    result += token === ":" ? ": " : token;
    before = token;
  }
  return result;
}

/** False for an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Decodes UTF-8. Stops reading and rejects after `maxBytes` bytes. */
export async function readText(chunks: AsyncIterable<Uint8Array> | null, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let text = "";
  let length = 0;
  for await (const chunk of chunks ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
