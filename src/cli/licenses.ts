// `relay licenses`: prints the licences of everything in the binary.

import engineNotices from "./engine-notices.txt" with { type: "file" };
import packageNotices from "./package-notices.txt" with { type: "file" };
import type { Output } from "./output.ts";

const OWN = `Relay is licensed under the Apache License 2.0, whose text is among those below.
What it is made of comes under the licences that follow.

`;

export async function runLicenses(io: Output): Promise<number> {
  io.stdout(OWN);
  for (const path of [packageNotices, engineNotices]) io.stdout(`${await Bun.file(path).text()}\n`);
  return 0;
}
