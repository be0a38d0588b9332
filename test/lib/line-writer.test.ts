// Log lines, onto what is full for a while, slow, or closed.

import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { createLineWriter } from "#lib/line-writer.ts";
import { eventually } from "../support/eventually.ts";
import { makePipe, readSome } from "../support/pipe.ts";
import { temporaryDirectory } from "../support/relay.ts";

const noticeOf = (dropped: number) => `dropped ${dropped}`;

test("createLineWriter() writes each line whole into a pipe that was full", async () => {
  await using directory = await temporaryDirectory();
  const path = makePipe(directory.path);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const lines = Array.from({ length: 3000 }, (_, index) => `${index} ${"x".repeat(90)}`);
  const writer = createLineWriter(fd, noticeOf);
  for (const line of lines) writer.write(line);
  await writer.flush(300);
  let text = "";
  await eventually(() => {
    text += readSome(fd);
    return text.endsWith(`${lines.at(-1)}\n`);
  });
  expect(text.split("\n").slice(0, -1)).toEqual(lines);
  closeSync(fd);
});

test("createLineWriter() continues when a full disk has room again, and counts the dropped lines", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log");
  const fd = openSync("/dev/full", "w");
  const writer = createLineWriter(fd, noticeOf);
  writer.write("first");
  await writer.flush(50);
  const line = "x".repeat(1023);
  for (let index = 0; index < 2000; index += 1) writer.write(line);
  // The same descriptor, with room.
  closeSync(fd);
  expect(openSync(path, "w")).toBe(fd);
  await writer.flush(5000);
  const written = readFileSync(path, "utf8").trim().split("\n");
  const kept = written.filter((one) => one === line).length;
  expect(kept).toBeWithin(1000, 1100);
  expect(written).toEqual(["first", ...Array.from({ length: kept }, () => line), `dropped ${2000 - kept}`]);
  closeSync(fd);
});

test("createLineWriter() keeps no lines for a reader that has exited", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log");
  const fd = openSync(path, "w");
  closeSync(fd);
  const writer = createLineWriter(fd, noticeOf);
  writer.write("lost");
  await writer.flush(5000);
  expect(openSync(path, "w")).toBe(fd);
  writer.write("lost too");
  await writer.flush(5000);
  writeSync(fd, "end");
  expect(readFileSync(path, "utf8")).toBe("end");
  closeSync(fd);
});
