// Runs axe in a page, in both colour schemes.

import type { Page } from "playwright-core";

const AXE = await Bun.file(import.meta.resolveSync("axe-core/axe.min.js")).text();

/** Dark changes colours only. */
const RULES = {
  light: "{}",
  dark: '{ runOnly: ["color-contrast"] }',
} as const;

/** What axe finds, as `light NAME: rule: selector`. */
export async function findingsOf(page: Page, name: string): Promise<readonly string[]> {
  await page.locator("#view:not([aria-busy]), form").first().waitFor();
  if (!(await page.evaluate<boolean>("typeof axe === 'object'"))) await page.evaluate(AXE);
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const findings = await page.evaluate<readonly string[]>(
      `axe.run(document, ${RULES[colorScheme]}).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => \`\${id}: \${target}\`)))`,
    );
    for (const finding of findings) found.push(`${colorScheme} ${name}: ${finding}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  return found;
}
