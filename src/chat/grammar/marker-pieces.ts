import { literal, type GrammarBuilder } from "./gbnf.ts";
import { branches, markerSearch } from "./until-grammar.ts";

/** How a piece goes on when a character has led to a state; "end" = the piece is whole. */
const PIECES = {
  again: (target, length) => (target === 1 ? "end" : within("again", target, length)),
  out: (target, length) => (target === 0 ? "end" : within("out", target, length)),
  close: (target, length) => (target === length ? "end" : within("close", target, length)),
  late: (target, length, state) => within(target > state ? "late" : "close", target, length),
} satisfies Record<string, (target: number, length: number, state: number) => Kind | "end" | null>;

type Kind = "again" | "out" | "close" | "late";

const within = (kind: Kind, target: number, length: number): Kind | null =>
  target > 1 && target < length ? kind : null;

/** The pieces of a marker in this grammar; looked for once, however many texts it ends. */
export function markerPieces(builder: GrammarBuilder, marker: string): MarkerPieces {
  const markers = KNOWN.getOrInsertComputed(builder, () => new Map<string, MarkerPieces>());
  return markers.getOrInsertComputed(marker, () => new MarkerPieces(builder, marker));
}

const KNOWN = new WeakMap<GrammarBuilder, Map<string, MarkerPieces>>();

/**
 * Pieces of the text up to a marker, as rules: each follows the marker's first character, and holds
 * at least one. null = there is none.
 */
class MarkerPieces {
  /** Not behind the first character: one that does not begin the marker. */
  readonly plain: string;
  /** Up to the marker's first character, where that may begin the marker anew. */
  readonly again: string | null;
  /** Up to a character behind which nothing of the marker stands. */
  readonly out: string | null;
  /** Up to the end of the marker. */
  readonly close: string | null;
  /** As `close`, but not the marker alone. */
  readonly late: string | null;

  readonly #made = new Map<string, string>();
  readonly #builder: GrammarBuilder;
  readonly #prefix: string;
  /** Of each state of the marker's search. */
  readonly #branches: readonly ReturnType<typeof branches>[];

  constructor(builder: GrammarBuilder, marker: string) {
    const search = markerSearch(marker);
    this.#builder = builder;
    this.#branches = [...search.states.keys()].map((state) => branches(builder, search, state));
    // Unlike other rules with hints of their own, so that no name occurs twice.
    this.#prefix = builder.add("piece", `( ${literal(marker)} )`);
    this.plain = this.#branches[0]?.find(({ target }) => target === 0)?.set ?? "";
    this.again = this.#rules("again");
    this.out = this.#rules("out");
    this.close = search.length === 1 ? "" : this.#rules("close");
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
      this.#builder.define(`${this.#prefix}-${kind}-${state}`, options.join(" | "));
    }
    return ending.has(1) ? `${this.#prefix}-${kind}-1` : null;
  }

  /** The states from which such a piece comes to its end. */
  #endingStates(kind: Kind): ReadonlySet<number> {
    const ending = new Set<number>();
    let known = -1;
    while (known < ending.size) {
      known = ending.size;
      for (let state = this.#branches.length - 1; state > 0; state--) {
        if (this.#options(kind, state, ending).length > 0) ending.add(state);
      }
    }
    return ending;
  }

  #options(kind: Kind, state: number, ending: ReadonlySet<number>): string[] {
    return (this.#branches[state] ?? []).flatMap(({ set, target }) => {
      const next = PIECES[kind](target, this.#branches.length, state);
      if (next === null || (next === kind && !ending.has(target))) return [];
      return [next === "end" ? set : `${set} ${this.#prefix}-${next}-${target}`];
    });
  }
}
