// Parses server-sent events from a stream: the id and the data of each.

export interface ServerSentEvent {
  /** Null: the stream has given none yet. */
  readonly id: string | null;
  /** Null: it only says where to go on from. */
  readonly data: string | null;
}

const MAX_EVENT_LENGTH = 1024 * 1024;

/** Comments, which keep a connection alive, are no events. Throws where one event is larger than any can be. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let id: string | null = null;
  let data: string[] = [];
  let hasId = false;
  for await (const line of readLines(chunks)) {
    const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/su.exec(line) ?? [];
    if (line === "") {
      if (data.length > 0 || hasId) yield { id, data: data.length === 0 ? null : data.join("\n") };
      data = [];
      hasId = false;
    } else if (name === "id" && !value.includes("\0")) {
      id = value;
      hasId = true;
    } else if (name === "data") data.push(value);
    if (data.reduce((sum, { length }) => sum + length, 0) > MAX_EVENT_LENGTH) throw tooLarge();
  }
}

async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/u);
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_EVENT_LENGTH) throw tooLarge();
  }
}

function tooLarge(): Error {
  return new Error(`an event is larger than ${MAX_EVENT_LENGTH} characters`);
}
