// A script in a process of its own that may have few files open.

const SRC = new URL("../../src/", import.meta.url).pathname;

/**
 * What `script` gives, by JSON, where `limit` files may be open: `fill()` opens all that are left, `free(count)` closes some
 * of these. `source(path)` imports a module below `src/`.
 */
export async function runWithDescriptors(limit: number, script: string): Promise<unknown> {
  const code = `
    import { closeSync, openSync } from "node:fs";
    const opened = [];
    const fill = () => { try { for (;;) opened.push(openSync("/dev/null", "r")); } catch {} };
    const free = (count) => { for (const one of opened.splice(-count)) closeSync(one); };
    const source = (path) => import(${JSON.stringify(SRC)} + path);
    const result = await (async () => { ${script} })();
    console.log(JSON.stringify(result));
    process.exit(0);`;
  const command = `ulimit -n ${limit} && exec "$@"`;
  const child = Bun.spawn(["sh", "-c", command, "sh", process.execPath, "-e", code], { stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text());
}
