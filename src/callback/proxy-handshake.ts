// Runs the handshake with a proxy over a socket; each protocol gives its steps as values.

import type { Socket } from "node:net";

/** What to do after the received bytes; `used`: how many of them were consumed. */
export type HandshakeStep =
  | { readonly kind: "more" }
  | { readonly kind: "say"; readonly bytes: Uint8Array; readonly used: number; readonly hear: Hear }
  | { readonly kind: "done"; readonly used: number }
  /** `reason` continues "the proxy …". */
  | { readonly kind: "refused"; readonly reason: string };

/** `received` is not empty. */
type Hear = (received: Buffer) => HandshakeStep;

export const MORE: HandshakeStep = { kind: "more" };

type HandshakeEnd =
  /** `early`: bytes after the last answer. The socket is paused. */
  { readonly kind: "done"; readonly early: Buffer } | { readonly kind: "refused"; readonly reason: string };

const MAX_ANSWER_BYTES = 16 * 1024;

/** Ends when the socket is destroyed, too. */
export function shakeHands(socket: Socket, first: HandshakeStep): Promise<HandshakeEnd> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    let hear: Hear = () => MORE;

    const end = (result: HandshakeEnd) => {
      socket.off("data", onData).off("close", onClose);
      socket.pause();
      resolve(result);
    };
    const refuse = (reason: string) => end({ kind: "refused", reason });
    const onClose = () => refuse("closed the connection");
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      follow(hear(received));
    };
    const follow = (step: HandshakeStep) => {
      switch (step.kind) {
        case "more":
          if (received.length > MAX_ANSWER_BYTES) refuse("sent an answer that is too long");
          return;
        case "say":
          socket.write(step.bytes);
          hear = step.hear;
          received = received.subarray(step.used);
          if (received.length > 0) follow(hear(received));
          return;
        case "done":
          end({ kind: "done", early: received.subarray(step.used) });
          return;
        case "refused":
          refuse(step.reason);
      }
    };

    socket.on("data", onData).once("close", onClose);
    follow(first);
  });
}
