import { choice, literal, MAX_REPETITIONS, sequence, type GrammarBuilder } from "./gbnf.ts";
import { markerPieces } from "./marker-pieces.ts";
import { repeat } from "./repeat.ts";
import { textUntil, type TextLength } from "./until-grammar.ts";

/**
 * As `countedUntil`, in few rules: a beginning of the marker that turns out to be text counts as one
 * character, whatever it holds. So a text with such beginnings may be longer than `max`, and shorter
 * than `min` when that is more than 1: the builder is told. No text of this length is lost.
 *
 * @param length With a bound; `max` is no less than `min`.
 * @param matched 1 = the marker's first character was read already and counts as nothing yet.
 */
export function nearText(
  builder: GrammarBuilder,
  marker: string,
  length: TextLength,
  matched: 0 | 1,
): string {
  const [first = "", ...others] = Array.from(marker);
  if (length.max === 0) return literal(matched === 0 ? marker : others.join(""));
  if (others.length > 0 && (length.max !== null || length.min > 1)) builder.countNearly();
  return markerPieces(builder, marker, SPAN).once(`${length.min} ${length.max} ${matched}`, () => {
    const text = new NearText(builder, marker, first, length);
    return builder.add("near", matched === 0 ? text.whole() : text.begun());
  });
}

/** Pieces begin behind the marker's first character, which may come again and again. */
const SPAN = { from: 1, above: 1 };

class NearText {
  readonly #builder: GrammarBuilder;
  readonly #length: TextLength;
  readonly #free: string;
  /** One character that begins no marker. */
  readonly #plain: string;
  /** The marker's first character and what follows it: up to text, or to the end of the text. */
  readonly #piece: string | null;
  readonly #close: string;
  /** As `#close`, with one character of text or more before the marker. */
  readonly #lateClose: string | null;
  readonly #begun: { piece: string | null; close: string; lateClose: string | null };

  constructor(builder: GrammarBuilder, marker: string, first: string, length: TextLength) {
    this.#builder = builder;
    this.#length = length;
    this.#free = textUntil(builder, marker);
    const pieces = markerPieces(builder, marker, SPAN);
    const [out = null, back = null] = pieces.to;
    this.#plain = pieces.plain;
    const most = longestRun(length.max);
    const again = (min: number): string | null => {
      if (back === null) return min === 0 ? "" : null;
      return pieces.once(`again ${min} ${most}`, () => {
        return builder.add("again", repeat(builder, back, min, most));
      });
    };
    const late = joined(again(1), pieces.close);
    const lateOptions = [late, pieces.late].filter((option) => option !== null);
    this.#begun = {
      piece: joined(again(0), out),
      close: joined(again(0), pieces.close) ?? "",
      lateClose: lateOptions.length === 0 ? null : choice(lateOptions),
    };
    const led = (rest: string | null): string | null => joined(literal(first), rest);
    const piece = led(this.#begun.piece);
    this.#piece = piece === null ? null : builder.add("piece", piece);
    this.#close = led(this.#begun.close) ?? "";
    this.#lateClose = led(this.#begun.lateClose);
  }

  whole(): string {
    const { min } = this.#length;
    if (min === 0) return this.#rest(0);
    const plain = sequence(repeat(this.#builder, this.#plain, min, min), this.#rest(min));
    // From the first beginning of the marker on nothing more is asked for.
    const others = optionsOf(joined(this.#piece, this.#rest(1)), this.#lateClose);
    if (others.length === 0) return plain;
    const before = repeat(this.#builder, this.#plain, 0, min - 1);
    return `${plain} | ${sequence(before, choice(others))}`;
  }

  begun(): string {
    const { piece, close, lateClose } = this.#begun;
    const end = this.#length.min === 0 ? close : lateClose;
    return optionsOf(joined(piece, this.#rest(1)), end).join(" | ");
  }

  /** What may follow when so much was counted. */
  #rest(counted: number): string {
    const { max } = this.#length;
    if (max === null) return this.#free;
    const unit = this.#builder.add("unit", optionsOf(this.#plain, this.#piece).join(" | "));
    return sequence(repeat(this.#builder, unit, 0, max - counted), this.#close);
  }
}

/**
 * How often the marker's first character may come anew, so that a model which is stuck in it gets
 * out: no less than a text may hold, but few numbers, so that texts of many lengths share the rules.
 */
function longestRun(max: number | null): number | null {
  if (max === null || max > MAX_REPETITIONS) return null;
  return Math.min(MAX_REPETITIONS, 2 ** Math.ceil(Math.log2(max)));
}

function joined(start: string | null, end: string | null): string | null {
  return start === null || end === null ? null : sequence(start, end);
}

function optionsOf(...options: readonly (string | null)[]): string[] {
  return options.filter((option) => option !== null);
}
