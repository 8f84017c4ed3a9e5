import type { Measure } from "./workload.ts";

/** One line of the result: medians over rounds. */
export interface Row {
  what: string;
  ours: number;
  peer: number | null;
  /** Median over rounds of ours / peer: neighbouring rounds were hit by the same noise. */
  ratio: number | null;
  /** `>= 1.2`, or null when nothing is promised. */
  target: string | null;
  isMet: boolean | null;
}

export function rowOf({ what, ours, peer, target }: Measure): Row {
  const ratios = peer === null ? null : ours.map((value, round) => value / (peer[round] ?? NaN));
  const row = {
    what,
    ours: median(ours),
    peer: peer === null ? null : median(peer),
    ratio: ratios === null ? null : median(ratios),
  };
  const judged = target?.of === "value" ? row.ours : row.ratio;
  if (target === undefined || judged === null) return { ...row, target: null, isMet: null };
  const { of, atLeast, atMost } = target;
  const bounds = [
    ...(atLeast === undefined ? [] : [`>= ${atLeast}`]),
    ...(atMost === undefined ? [] : [`<= ${atMost}`]),
  ];
  const isMet = judged >= (atLeast ?? -Infinity) && judged <= (atMost ?? Infinity);
  return { ...row, target: `${of} ${bounds.join(", ")}`, isMet };
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const target =
      row.target === null ? "" : `${row.target} ${row.isMet === true ? "met" : "NOT met"}`;
    const numbers = [show(row.ours), show(row.peer), row.ratio?.toFixed(3) ?? "", target];
    return `| ${[row.what, ...numbers].join(" | ")} |`;
  });
  const head = "| measure | ours | peer | ratio | target |";
  return [head, "| --- | --- | --- | --- | --- |", ...lines].join("\n");
}

/** Four digits that matter. */
function show(value: number | null): string {
  if (value === null) return "";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** The value below which the share `q` of the numbers lies; NaN for none. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
