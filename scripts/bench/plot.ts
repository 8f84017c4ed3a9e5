/**
 * Draws throughput and time to the first token against clients, from what the decode workload says
 * with --json: `bun scripts/bench/plot.ts RESULT.json PLOT.svg`
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Row } from "./report.ts";

const [input, output] = process.argv.slice(2);
if (input === undefined || output === undefined) throw new Error("give RESULT.json and PLOT.svg");

const WIDTH = 340;
const HEIGHT = 240;
const LEFT = 56;
const TOP = 40;
const COLORS = { ours: "#2563eb", peer: "#d97706" };

interface Point {
  clients: number;
  ours: number;
  peer: number | null;
}

const { rows } = JSON.parse(readFileSync(input, "utf8")) as { rows: Row[] };
const panels = [
  panel("tokens per second", pointsOf("tokens/s, "), 0),
  panel("time to the first token, p50, ms", pointsOf("TTFT p50 ms, "), WIDTH + LEFT + 40),
];
const size = `width="${2 * (WIDTH + LEFT) + 80}" height="${HEIGHT + TOP + 60}"`;
writeFileSync(
  output,
  `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${panels.join("\n")}
</svg>
`,
);

/** The rows whose name begins so; it ends with the number of clients. */
function pointsOf(prefix: string): Point[] {
  return rows
    .filter(({ what }) => what.startsWith(prefix))
    .map(({ what, ours, peer }) => ({
      clients: Number.parseInt(what.slice(prefix.length), 10),
      ours,
      peer,
    }));
}

function panel(title: string, points: readonly Point[], offset: number): string {
  const values = points.flatMap(({ ours, peer }) => (peer === null ? [ours] : [ours, peer]));
  const most = niceAbove(Math.max(...values));
  const x = (index: number): number => LEFT + (WIDTH * index) / Math.max(points.length - 1, 1);
  const y = (value: number): number => TOP + HEIGHT * (1 - value / most);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = y(part * most);
    const label = Number((part * most).toPrecision(3));
    return (
      `<line x1="${LEFT}" x2="${LEFT + WIDTH}" y1="${at}" y2="${at}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${label}</text>`
    );
  });
  const ticks = points.map(
    ({ clients }, index) =>
      `<text x="${x(index)}" y="${TOP + HEIGHT + 18}" text-anchor="middle">${clients}</text>`,
  );
  const lines = (["ours", "peer"] as const).map((side, index) => {
    const places = points.flatMap((point, at) => {
      const value = point[side];
      return value === null ? [] : [`${x(at).toFixed(1)},${y(value).toFixed(1)}`];
    });
    const name = side === "ours" ? "lmserver" : "llama-server";
    return (
      `<polyline points="${places.join(" ")}" fill="none" stroke="${COLORS[side]}" stroke-width="2"/>` +
      `<text x="${LEFT + 8 + 80 * index}" y="${TOP + HEIGHT + 38}" fill="${COLORS[side]}">${name}</text>`
    );
  });
  const caption = `<text x="${LEFT + WIDTH}" y="${TOP + HEIGHT + 38}" text-anchor="end">clients</text>`;
  const head = `<text x="${LEFT}" y="${TOP - 16}" font-weight="bold">${title}</text>`;
  return `<g transform="translate(${offset} 0)">${[head, ...grid, ...ticks, ...lines, caption].join("\n")}</g>`;
}

/** The next of 1, 2, 4, 5, 8 and 10 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}
