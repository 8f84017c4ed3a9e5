import { MAX_REPETITIONS, sequence, type GrammarBuilder } from "./gbnf.ts";

/** Items per block when a count exceeds what llama.cpp repeats at once. */
const BLOCK = 1000;

/**
 * `item` between `min` and `max` times; `max` null = no limit. Counts above llama.cpp's own limit
 * are built from blocks, so that they hold exactly.
 * @param item a rule name or one character class: llama.cpp multiplies anything else.
 */
export function repeat(
  builder: GrammarBuilder,
  item: string,
  min: number,
  max: number | null,
): string {
  if (max === null) {
    if (min === 0) return `${item}*`;
    if (min === 1) return `${item}+`;
    return sequence(exactly(builder, item, min), `${item}*`);
  }
  if (max <= MAX_REPETITIONS && min > 0 && min < max) {
    builder.spend(max);
    return `${item}{${min},${max}}`;
  }
  return sequence(exactly(builder, item, min), atMost(builder, item, max - min));
}

/** Like `repeat`, with `separator` between the items. */
export function separated(
  builder: GrammarBuilder,
  item: string,
  separator: string,
  min: number,
  max: number | null,
): string {
  if (max === 0) return "";
  const following = builder.add("next", `${separator} ${item}`);
  const most = max === null ? null : max - 1;
  const list = sequence(item, repeat(builder, following, Math.max(0, min - 1), most));
  // A rule of its own: llama.cpp counts what a repeated group holds.
  return min === 0 ? `${builder.add("list", list)}?` : list;
}

function exactly(builder: GrammarBuilder, item: string, count: number): string {
  if (count === 0) return "";
  if (count === 1) return item;
  if (count <= MAX_REPETITIONS) {
    builder.spend(count);
    return `${item}{${count}}`;
  }
  return sequence(
    exactly(builder, block(builder, item), Math.floor(count / BLOCK)),
    exactly(builder, item, count % BLOCK),
  );
}

function atMost(builder: GrammarBuilder, item: string, count: number): string {
  if (count === 0) return "";
  if (count === 1) return `${item}?`;
  if (count <= MAX_REPETITIONS) {
    builder.spend(count);
    return `${item}{0,${count}}`;
  }
  const blocks = Math.floor(count / BLOCK);
  const whole = block(builder, item);
  const below = sequence(atMost(builder, whole, blocks - 1), atMost(builder, item, BLOCK - 1));
  const full = sequence(exactly(builder, whole, blocks), atMost(builder, item, count % BLOCK));
  return `( ${below} | ${full} )`;
}

function block(builder: GrammarBuilder, item: string): string {
  builder.spend(BLOCK);
  return builder.add("block", `${item}{${BLOCK}}`);
}
