// Starts a program under a seccomp filter that refuses `execve`: `bun refuse-execve.ts PROGRAM [ARGUMENT …]`.
//
// The filter lets `execveat` pass, by which this program replaces itself. It holds for one thread, the one that goes on.

import { dlopen, FFIType, ptr } from "bun:ffi";

const IS_ARM = process.arch === "arm64";
const EXECVE = IS_ARM ? 221 : 59;
const EXECVEAT = IS_ARM ? 281 : 322;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const MODE_FILTER = 2;
const AT_FDCWD = -100;

// struct sock_filter: code, jump if true, jump if false, operand.
const INSTRUCTIONS = [
  { code: 0x20, whenFalse: 0, operand: 0 }, // load the number of the system call
  { code: 0x15, whenFalse: 1, operand: EXECVE }, // is it execve?
  { code: 0x06, whenFalse: 0, operand: 0x0005_0001 }, // SECCOMP_RET_ERRNO, EPERM
  { code: 0x06, whenFalse: 0, operand: 0x7fff_0000 }, // SECCOMP_RET_ALLOW
];
const INSTRUCTION_BYTES = 8;

const number = FFIType.i64;
const library = dlopen("libc.so.6", {
  prctl: { args: [FFIType.i32, number, number, number, number], returns: FFIType.i32 },
  syscall: { args: [number, number, FFIType.ptr, FFIType.ptr, FFIType.ptr, number], returns: number },
});

const [program = "", ...rest] = process.argv.slice(2);
const filter = new DataView(new ArrayBuffer(INSTRUCTIONS.length * INSTRUCTION_BYTES));
for (const [index, { code, whenFalse, operand }] of INSTRUCTIONS.entries()) {
  const at = index * INSTRUCTION_BYTES;
  filter.setUint16(at, code, true);
  filter.setUint8(at + 3, whenFalse);
  filter.setUint32(at + 4, operand, true);
}
const header = new BigUint64Array([BigInt(INSTRUCTIONS.length), BigInt(ptr(filter.buffer))]);
const path = toText(program);
const args = toList([program, ...rest]);
const env = toList(Object.entries(process.env).map(([name, value]) => `${name}=${value}`));

library.symbols.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
const refused = library.symbols.prctl(PR_SET_SECCOMP, MODE_FILTER, ptr(header), 0, 0);
if (refused === 0) library.symbols.syscall(EXECVEAT, AT_FDCWD, path, args.list, env.list, 0);
throw new Error(refused === 0 ? `Cannot start ${program}` : "Cannot set a filter of system calls");

function toText(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** `texts` are held as long as the list is. */
function toList(values: readonly string[]): { list: BigUint64Array; texts: readonly Buffer[] } {
  const texts = values.map(toText);
  return { list: new BigUint64Array([...texts.map((text) => BigInt(ptr(text))), 0n]), texts };
}
