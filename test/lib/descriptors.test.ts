// What a process can tell of its file descriptors, in a process of its own that has few.

import { expect, test } from "bun:test";

const MODULE = new URL("../../src/lib/descriptors.ts", import.meta.url).pathname;

/** What `script` prints, as JSON, where `limit` files may be open. */
async function runWith(limit: number, script: string): Promise<unknown> {
  const source = `
    import { closeSync, openSync } from "node:fs";
    import { findDescriptorFault, toDescriptorFault } from ${JSON.stringify(MODULE)};
    const open = [];
    const fill = () => { try { for (;;) open.push(openSync("/dev/null", "r")); } catch {} };
    const free = (count) => { for (const one of open.splice(-count)) closeSync(one); };
    const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    ${script}`;
  const child = Bun.spawn([
    "sh",
    "-c",
    `ulimit -n ${limit} && exec "$@"`,
    "sh",
    process.execPath,
    "-e",
    source,
  ]);
  return JSON.parse(await new Response(child.stdout).text());
}

test("toDescriptorFault() takes a refused connection for what it is while there are descriptors", async () => {
  const seen = await runWith(
    200,
    "console.log(JSON.stringify([findDescriptorFault() === null, toDescriptorFault(refused).code]));",
  );
  expect(seen).toEqual([true, "ECONNREFUSED"]);
});

test("toDescriptorFault() finds that there was none, also just after one is free again", async () => {
  const seen = await runWith(
    200,
    `fill();
    const codes = [findDescriptorFault()?.code, toDescriptorFault(refused).code];
    free(100);
    codes.push(findDescriptorFault(), toDescriptorFault(refused).code);
    console.log(JSON.stringify(codes));`,
  );
  expect(seen).toEqual(["EMFILE", "EMFILE", null, "EMFILE"]);
});

test.each([
  [2000, 32],
  [200, 6],
])("findDescriptorFault() of %d leaves %d to what is not a connection to a callback", async (limit, left) => {
  const seen = await runWith(
    limit,
    `const first = findDescriptorFault();
    fill();
    free(${left});
    const codes = [first, findDescriptorFault()?.code];
    free(1);
    codes.push(findDescriptorFault());
    console.log(JSON.stringify(codes));`,
  );
  expect(seen).toEqual([null, "EMFILE", null]);
});
