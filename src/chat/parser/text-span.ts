/** A piece of a model's output, in UTF-16 units from its start; `end` is the first behind it. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

/** Adds what follows in the output; pieces without a gap between them become one. */
export function addSpan(spans: TextSpan[], { start, end }: TextSpan): void {
  if (start === end) return;
  const last = spans.at(-1);
  if (last?.end === start) spans[spans.length - 1] = { start: last.start, end };
  else spans.push({ start, end });
}
