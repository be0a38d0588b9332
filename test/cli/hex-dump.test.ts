// Bytes as people read them.

import { expect, test } from "bun:test";
import { toHexDump } from "#cli/hex-dump.ts";

test("toHexDump() writes as `hexdump -C` does, also a line that is not full", () => {
  expect(toHexDump(Buffer.from('{"a":"ü"}\n\u001b[2J\u007f0123\0'))).toBe(
    [
      '00000000  7b 22 61 22 3a 22 c3 bc  22 7d 0a 1b 5b 32 4a 7f  |{"a":".."}..[2J.|',
      "00000010  30 31 32 33 00                                    |0123.|",
      "",
    ].join("\n"),
  );
});

test("toHexDump() writes nothing of nothing", () => expect(toHexDump(new Uint8Array(0))).toBe(""));
