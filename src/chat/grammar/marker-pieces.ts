import { literal, type GrammarBuilder } from "./gbnf.ts";
import { branches, markerSearch } from "./until-grammar.ts";

/** The pieces of a marker in this grammar; looked for once, however many texts it ends. */
export function markerPieces(builder: GrammarBuilder, marker: string, span: Span): MarkerPieces {
  const known = KNOWN.getOrInsertComputed(builder, () => new Map<string, MarkerPieces>());
  const key = `${span.from} ${span.above} ${marker}`;
  return known.getOrInsertComputed(key, () => new MarkerPieces(builder, marker, span));
}

const KNOWN = new WeakMap<GrammarBuilder, Map<string, MarkerPieces>>();

/** Where pieces lie, in characters of the marker that were just read. */
export interface Span {
  /** They begin behind so many. */
  from: number;
  /** They go on while there are more than so many. */
  above: number;
}

/** Up to the marker's end, or where it begins anew: the number of its characters read by then. */
type Kind = "close" | "late" | number;

/**
 * Pieces of the text up to a marker, as rules: each follows a beginning of the marker, and holds at
 * least one character. null = there is none.
 */
class MarkerPieces {
  /** Not behind a beginning: one character that does not begin the marker. */
  readonly plain: string;
  /** Up to where so many characters of the marker, `above` or fewer, were just read. */
  readonly to: readonly (string | null)[];
  /** Up to the end of the marker. */
  readonly close: string | null;
  /** As `close`, but not what is left of the marker alone. */
  readonly late: string | null;

  readonly #made = new Map<string, string>();
  readonly #builder: GrammarBuilder;
  readonly #prefix: string;
  readonly #span: Span;
  /** Of each state of the marker's search. */
  readonly #branches: readonly ReturnType<typeof branches>[];

  constructor(builder: GrammarBuilder, marker: string, span: Span) {
    const search = markerSearch(marker);
    this.#builder = builder;
    this.#span = span;
    this.#branches = [...search.states.keys()].map((state) => branches(builder, search, state));
    // Unlike other rules with hints of their own, so that no name occurs twice.
    this.#prefix = builder.add("piece", `( ${literal(marker)} ){1} ${literal(`${span.from}`)}`);
    this.plain = this.#branches[0]?.find(({ target }) => target === 0)?.set ?? "";
    this.to = Array.from({ length: span.above + 1 }, (_, target) => this.#rules(target));
    this.close = search.length === span.from ? "" : this.#rules("close");
    this.late = this.#rules("late");
  }

  /** What `make` returned for this key: repetitions count as work, which is done once. */
  once(key: string, make: () => string): string {
    return this.#made.getOrInsertComputed(key, make);
  }

  #rules(kind: Kind): string | null {
    const ending = this.#endingStates(kind);
    for (const state of ending) {
      const options = this.#options(kind, state, ending);
      this.#builder.define(this.#name(kind, state), options.join(" | "));
    }
    return ending.has(this.#span.from) ? this.#name(kind, this.#span.from) : null;
  }

  #name(kind: Kind, state: number): string {
    return `${this.#prefix}-${kind}-${state}`;
  }

  /** The states from which such a piece comes to its end. */
  #endingStates(kind: Kind): ReadonlySet<number> {
    const ending = new Set<number>();
    let known = -1;
    while (known < ending.size) {
      known = ending.size;
      for (let state = this.#branches.length - 1; state >= this.#lowest; state--) {
        if (this.#options(kind, state, ending).length > 0) ending.add(state);
      }
    }
    return ending;
  }

  get #lowest(): number {
    return Math.min(this.#span.from, this.#span.above + 1);
  }

  #options(kind: Kind, state: number, ending: ReadonlySet<number>): string[] {
    return (this.#branches[state] ?? []).flatMap(({ set, target }) => {
      if (kind === target || (kind === "close" && target === this.#branches.length)) return [set];
      if (target <= this.#span.above || target === this.#branches.length) return [];
      // What leads back in the marker is text, behind which any end is a late one.
      const next = kind === "late" && target <= state ? "close" : kind;
      return next === kind && !ending.has(target) ? [] : [`${set} ${this.#name(next, target)}`];
    });
  }
}
