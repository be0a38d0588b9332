// Writes a large body as it is: Bun would copy it behind the head of the request, to write both at once.

import type { Socket } from "node:net";

/** Above it a second write costs less than the copy and its garbage. */
const MAX_COPIED_BYTES = 65_536;

type Chunk = { readonly chunk: unknown; readonly encoding: BufferEncoding };
type Done = (error?: Error | null) => void;

export function writeLargeChunksUncopied(socket: Socket): void {
  const writeAtOnce = socket._writev?.bind(socket);
  if (writeAtOnce === undefined) return;

  function writeInTurn(chunks: Chunk[], done: Done): void {
    const [first, ...rest] = chunks;
    if (first === undefined) return done();
    socket._write(first.chunk, first.encoding, (error) => {
      if (error === null || error === undefined) writeInTurn(rest, done);
      else done(error);
    });
  }

  socket._writev = (chunks, done) => {
    const isLarge = chunks.some(
      ({ chunk }) => chunk instanceof Uint8Array && chunk.length > MAX_COPIED_BYTES,
    );
    if (isLarge) writeInTurn(chunks, done);
    else writeAtOnce(chunks, done);
  };
}
