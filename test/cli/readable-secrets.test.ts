// A config that the service may not read: it runs as nobody, in the group of the config.

import { expect, test } from "bun:test";
import { listBarred } from "#cli/readable-secrets.ts";

test.each([
  ["root's own, closed to others", 0o100600, 0, 1],
  ["of the group, which may read it", 0o100640, 77, 0],
  ["of the group, which may not", 0o100600, 77, 1],
  ["of another group", 0o100640, 12, 1],
  ["open to everybody", 0o100644, 0, 0],
])("listBarred() about a file %s", (_, mode, gid, count) => {
  const warnings = listBarred({ mode, gid }, 77);
  expect(warnings).toHaveLength(count);
  expect(listBarred({ mode, gid }, null)).toEqual([]);
});
