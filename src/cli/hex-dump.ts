// Formats bytes as `hexdump -C` does.

const PER_LINE = 16;

export function toHexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += PER_LINE) {
    lines.push(toLine(bytes.subarray(offset, offset + PER_LINE), offset));
  }
  return lines.map((line) => `${line}\n`).join("");
}

function toLine(bytes: Uint8Array, offset: number): string {
  const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
  const half = PER_LINE / 2;
  const hex = `${pairs.slice(0, half).join(" ")}  ${pairs.slice(half).join(" ")}`.padEnd(PER_LINE * 3);
  const text = [...bytes].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
  return `${offset.toString(16).padStart(8, "0")}  ${hex}  |${text.join("")}|`;
}
