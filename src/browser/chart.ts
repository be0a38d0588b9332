// Draws the last hour as sixty bars: delivered below, failed on top.

import { svg } from "./dom.ts";
import { formatCount } from "./format.ts";

interface Chart {
  readonly element: SVGSVGElement;
  readonly draw: (delivered: readonly number[], failed: readonly number[]) => void;
}

const HEIGHT = 36;
const BAR = 2;
const STEP = 3;

export function createChart(): Chart {
  const good = svg("path", { class: "bars good" });
  const bad = svg("path", { class: "bars bad" });
  const title = svg("title");
  const base = svg("path", { class: "base", d: `M0 ${HEIGHT - 0.5}h${60 * STEP}` });
  const viewBox = `0 0 ${60 * STEP} ${HEIGHT}`;
  const element = svg(
    "svg",
    { class: "chart", viewBox, preserveAspectRatio: "none", role: "img" },
    title,
    base,
    good,
    bad,
  );
  return {
    element,
    draw(delivered, failed) {
      const highest = Math.max(1, ...delivered.map((count, index) => count + (failed[index] ?? 0)));
      // What is there can be seen: a single failure among thousands too.
      const scale = (count: number) => (count === 0 ? 0 : Math.max(2, (count / highest) * (HEIGHT - 2)));
      let goodPath = "";
      let badPath = "";
      delivered.forEach((count, index) => {
        const badHeight = scale(failed[index] ?? 0);
        const goodHeight = Math.min(scale(count), HEIGHT - badHeight);
        goodPath += barOf(index, { height: goodHeight, below: 0 });
        badPath += barOf(index, { height: badHeight, below: goodHeight });
      });
      good.setAttribute("d", goodPath);
      bad.setAttribute("d", badPath);
      title.textContent = `Last hour: ${formatCount(sum(delivered))} delivered, ${formatCount(sum(failed))} failed`;
    },
  };
}

export function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function barOf(index: number, { height, below }: { height: number; below: number }): string {
  if (height === 0) return "";
  const top = HEIGHT - below - height;
  return `M${index * STEP} ${top.toFixed(1)}h${BAR}v${height.toFixed(1)}h-${BAR}z`;
}
