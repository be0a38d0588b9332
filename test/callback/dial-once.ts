// A process of its own, for what the runtime reads but once: dials the URL it is given, and prints how that ended.

import { readFile } from "node:fs/promises";

import { createDial } from "#callback/connector.ts";
import { toRoute } from "../support/subscription.ts";

const [, , href = "", trustedFile] = process.argv;
const trusted = trustedFile === undefined ? null : [await readFile(trustedFile, "utf8")];

createDial({ url: new URL(href), route: toRoute({ tls: { ...toRoute().tls, trusted } }) })((dialled) => {
  console.log(dialled.kind === "failed" ? dialled.exception.error : dialled.kind);
  if (dialled.kind === "connected") dialled.socket.destroy();
});
