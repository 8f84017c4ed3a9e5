import { contains } from "./char-set.ts";
import { parseRegex, UnsupportedPattern, type RegexNode } from "./regex-parse.ts";

/** Work for one text; JavaScript's own matcher would know no bound. */
const MAX_STEPS = 20_000;

/** A pattern of a client, tried on short texts without backtracking. */
export class PatternMatcher {
  readonly #root: RegexNode | null;

  constructor(pattern: string) {
    try {
      this.#root = parseRegex(pattern);
    } catch (error) {
      if (!(error instanceof UnsupportedPattern)) throw error;
      this.#root = null;
    }
  }

  /** Whether the pattern matches anywhere in `text`, null = it cannot be told; and the work. */
  match(text: string): { matches: boolean | null; steps: number } {
    if (this.#root === null) return { matches: null, steps: 1 };
    const search = new Search(Array.from(text));
    const found = search.run(this.#root);
    return { matches: search.steps > MAX_STEPS ? null : found, steps: search.steps };
  }
}

class Search {
  steps = 0;
  readonly #chars: readonly number[];

  constructor(chars: readonly string[]) {
    this.#chars = chars.map((char) => char.codePointAt(0) ?? 0);
  }

  run(root: RegexNode): boolean {
    return this.#ends(root, new Set([...this.#chars.keys(), this.#chars.length])).size > 0;
  }

  /** Where matches end that begin at one of `starts`. */
  #ends(node: RegexNode, starts: ReadonlySet<number>): ReadonlySet<number> {
    this.steps += 1 + starts.size;
    if (this.steps > MAX_STEPS || starts.size === 0) return new Set();
    switch (node.kind) {
      case "set": {
        const { set } = node;
        const found = [...starts].filter((at) => contains(set, this.#chars[at] ?? -1));
        return new Set(found.map((at) => at + 1));
      }
      case "sequence":
        return node.items.reduce((from, item) => this.#ends(item, from), starts);
      case "choice":
        return new Set(node.options.flatMap((option) => [...this.#ends(option, starts)]));
      case "start":
        return new Set([...starts].filter((at) => at === 0));
      case "end":
        return new Set([...starts].filter((at) => at === this.#chars.length));
      default:
        return this.#repeated(node, starts);
    }
  }

  #repeated(
    { item, min, max }: RegexNode & { kind: "repeat" },
    starts: ReadonlySet<number>,
  ): ReadonlySet<number> {
    let found: ReadonlySet<number> = min === 0 ? starts : new Set();
    let reached = starts;
    const most = max ?? Number.POSITIVE_INFINITY;
    for (let count = 1; count <= most; count++) {
      const next = this.#ends(item, reached);
      // Where an item may be empty, nothing changes any more at some point.
      const settled = next.size === reached.size && next.isSubsetOf(reached);
      const isNew = !next.isSubsetOf(found);
      if (count >= min || settled) found = found.union(next);
      if (next.size === 0 || settled || (count >= min && !isNew)) break;
      reached = next;
    }
    return found;
  }
}
