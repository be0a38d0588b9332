// Expressions and messages that want to take the host's time or memory, or to reach what is not theirs.

import { beforeAll, expect, test } from "bun:test";
import { compile } from "#shape/expression.ts";

const NEVER = new AbortController().signal;
/** Of CPU time, with two tries and a cold start; without bounds each row takes seconds or for ever, or the memory of the host. */
const MOST_MS = 1500;

type Body = () => unknown;
const small: Body = () => ({ amount: 150, items: [{ p: 3 }, { p: 1 }], s: "a".repeat(1000) });
const numbers: Body = () => Array.from({ length: 400_000 }, () => 1);
const objects: Body = () => Array.from({ length: 10_000 }, (_, at) => ({ id: `x${at}`, p: 10_000 - at }));
const wide: Body = () => Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`k${at}`, [1]]));
const deep: Body = () => JSON.parse(`${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`) as unknown;
const text: Body = () => "a".repeat(1_000_000);

const loop = (step: string, start = "1") =>
  `($f := function($x, $n) { $n = 0 ? $x : $f(${step}, $n - 1) }; $f(${start}, 60))`;
const many = (item: string, count: number) => Array.from({ length: count }, () => item).join(",");

async function run(source: string, body: Body) {
  const compiled = compile(source);
  if (compiled.kind === "faulty") return { kind: "faulty" as const, text: compiled.fault.message, ms: 0 };
  const before = process.threadCpuUsage();
  const result = await compiled.expression.evaluate(() => ({ body: body(), metadata: {} }), NEVER);
  const { user, system } = process.threadCpuUsage(before);
  const ms = (user + system) / 1000;
  if (result.kind === "failed") return { kind: "failed" as const, text: result.error, ms };
  return { kind: "value" as const, value: result.kind === "value" ? result.value : undefined, ms };
}

beforeAll(async () => {
  await run("1", small);
});

test.each<[string, Body]>([
  ["($f := function($x) { $f($x) }; $f(1))", small],
  ["($f := function($x) { 1 + $f($x) }; $f(1))", small],
  [loop("[[$x], [$x]]"), small],
  [`$string(${loop("{'a': $x, 'b': $x}")})`, small],
  [loop("$x & $x", "'ab'"), small],
  [loop("$append($x, $x)", "[1]"), small],
  ["$map([1..10000], function($a) { $map([1..10000], function($b) { $a }) })", small],
  ["[1..9000000]", small],
  ["[1..10000].[1..10000]", small],
  ["[1..10000][[1..10000]]", small],
  ["[1..10000]@$i.[1..10000]@$j", small],
  [`($x := [1..10000]; $zip(${many("$x", 1000)}))`, small],
  [`($x := [1..10000]; [${many("$x", 250)}])`, small],
  ["$reduce(body, $append)", numbers],
  ["body^($)", numbers],
  ["[body, body]", numbers],
  ["$zip(body, body, body)", numbers],
  ["body{id: p}", objects],
  ["body^(p)", objects],
  ["$sort(body, function($a, $b) { $a.p > $b.p })", objects],
  ["$distinct(body)", objects],
  ["body.*", wide],
  ["body.**", wide],
  ["$spread(body)", wide],
  ["$string(body)", deep],
  ["[body]", deep],
  ["body ~> |$|{'x': 1}|", deep],
  ['$pad("x", 1e9)', small],
  ["$pad('', 1000000, body)", text],
  ["$join([body, body], body)", text],
  ["$split(body, '')", text],
  ["$replace(body, 'a', $pad('b', 1000, 'c'))", text],
  ["$replace(body, /a/, $pad('b', 1000, 'c'))", text],
  ["$contains(body, $pad('`', -500000, 'a'))", text],
  ["$match(body, /a/)", text],
  ["$contains(body, /(a+)+b/)", text],
  ["$contains(body, /(a|aa)+$/)", text],
  ["$string([body, body], true)", text],
  ["$number(body)", text],
  ["$toMillis(body)", text],
  ['$formatInteger(1e308 * 10, "A")', small],
  ['$formatInteger(1e300, "I")', small],
  ['$fromMillis(1, "[H,1000000000]")', small],
  ['$now("[H,1000000000]")', small],
  ['$formatNumber(1, "#0.0", { "zero-digit": "" })', small],
  [`$toMillis("${"1".repeat(64)}x", "${"[Y][M]".repeat(7)}")`, small],
  [`$toMillis("${"one ".repeat(30)}!", "[Yw]")`, small],
  [
    "($m := function($s) { {'match': 'a', 'start': 0, 'end': 1, 'groups': [], 'next': $m} }; $match('a', $m))",
    small,
  ],
  ["($f := function($g) { {'then': $g} }; $f(function($r) { 1 }))", small],
  ["[1, 2].{'then': /x/}", small],
  ["{} ~> |$sum|{'implementation': function() { 1 }}|", small],
  ["{'_jsonata_lambda': true}", small],
  ["$error($pad('x', 100000))", small],
])("%s fails within its bounds", async (source, body) => {
  const result = await run(source, body);
  expect(result).toMatchObject({ kind: "failed" });
  expect(result.ms).toBeLessThan(MOST_MS);
  expect("text" in result ? result.text.length : 0).toBeLessThan(300);
});

test.each<[string, string]>([
  ["$eval('1')", "$eval is not available"],
  ["amount > 100", '"amount" is none of body, text, '],
  ["sum([1])", "write $sum"],
  ["$nothing(1)", "$nothing is not defined"],
  ["/(?=a)b/", "Relay does not take this regular expression"],
  ["/(a)\\1/", "Relay does not take this regular expression"],
  ["/((a{1000}){1000}){1000}/", "Relay does not take this regular expression"],
  ["/(a{100}){10}b{1000}c{500}/", "it is too large"],
  [`/${"a".repeat(1001)}/`, "regular expressions have 1000 characters at most"],
  [`function($a)<${"s+".repeat(17)}:s>{1}(1)`, "the signature of this function is too long"],
  [`function($a)<${"s?".repeat(15)}:s>{1}(1)`, "the signature of this function is too long"],
  ["body.a@$i#$p{'k': $i}", "cannot be grouped"],
  [`[${many("1", 300)}]`, "a list has 256 entries at most"],
  [`${"(".repeat(4000)}1`, "Expected"],
  ["body.%.%", "'parent' cannot be derived"],
])("%s is refused when the config is taken", (source, message) => {
  const compiled = compile(source);
  expect(compiled.kind === "faulty" ? compiled.fault.message : "").toContain(message);
});

test.each<[string, unknown]>([
  ["$string(1).constructor", undefined],
  ["body.constructor", undefined],
  ["$lookup(body, 'constructor')", undefined],
  ["/a/('banana').next.constructor", undefined],
  ["$sum.implementation", undefined],
  ["(function() { 1 }).environment", undefined],
  ["$map.signature", undefined],
  ["$merge([body, {'__proto__': 1}]).polluted", undefined],
])("%s reaches nothing but the input", async (source, expected) => {
  expect(await run(source, small)).toMatchObject({ kind: "value", value: expected });
});

test("a message with keys such as __proto__ changes no prototype, in no operation", async () => {
  const body = () => JSON.parse('{"__proto__": {"x": 1}, "constructor": {"prototype": {"x": 1}}}') as unknown;
  for (const source of [
    "$merge([{}, body])",
    "{} ~> |$|$$.body|",
    "body ~> |$|{'__proto__': {'x': 1}}|",
    "$spread(body)",
  ]) {
    expect((await run(source, body)).kind).toBe("value");
  }
  expect("x" in {}).toBe(false);
});

test("an expression cannot change the functions of another one", async () => {
  await run("($sum := 1; $f := $sum; {} ~> |$$|{'a': 1}|)", small);
  expect(await run("$sum([1, 2])", small)).toMatchObject({ kind: "value", value: 3 });
});
