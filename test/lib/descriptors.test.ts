// What a process can tell of its file descriptors, in a process of its own that has few.

import { expect, test } from "bun:test";
import { runWithDescriptors } from "../support/few-descriptors.ts";

const IMPORTS = `
  const { findDescriptorFault, onDescriptorFault, toDescriptorFault } = await source("lib/descriptors.ts");
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });`;

test("toDescriptorFault() keeps the error of a refused connection while there are descriptors", async () => {
  const seen = await runWithDescriptors(
    200,
    `${IMPORTS} return [findDescriptorFault() === null, toDescriptorFault(refused).code];`,
  );
  expect(seen).toEqual([true, "ECONNREFUSED"]);
});

test("toDescriptorFault() blames a shortage of descriptors, also just after one is free again", async () => {
  const seen = await runWithDescriptors(
    200,
    `${IMPORTS}
    fill();
    const codes = [findDescriptorFault()?.code, toDescriptorFault(refused).code];
    free(100);
    return [...codes, findDescriptorFault(), toDescriptorFault(refused).code];`,
  );
  expect(seen).toEqual(["EMFILE", "EMFILE", null, "EMFILE"]);
});

test.each([
  [2000, 32],
  [200, 6],
])("findDescriptorFault() of %d leaves %d to what is not a connection to a callback", async (limit, left) => {
  const seen = await runWithDescriptors(
    limit,
    `${IMPORTS}
    const first = findDescriptorFault();
    fill();
    free(${left});
    const second = findDescriptorFault()?.code;
    free(1);
    return [first, second, findDescriptorFault()];`,
  );
  expect(seen).toEqual([null, "EMFILE", null]);
});

test("onDescriptorFault() calls its listeners once for several faults in a row, until it is ended", async () => {
  const seen = await runWithDescriptors(
    200,
    `${IMPORTS}
    let told = 0;
    const end = onDescriptorFault(() => (told += 1));
    fill();
    for (let index = 0; index < 10; index += 1) findDescriptorFault();
    await Promise.resolve();
    const first = told;
    end();
    const before = performance.now();
    while (performance.now() - before < 300);
    findDescriptorFault();
    await Promise.resolve();
    return [first, told];`,
  );
  expect(seen).toEqual([1, 1]);
});
