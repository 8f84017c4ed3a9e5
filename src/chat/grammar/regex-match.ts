import { contains } from "./char-set.ts";
import { parseRegex, UnsupportedPattern, type RegexNode } from "./regex-parse.ts";
import type { WorkBudget } from "./work-budget.ts";

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

/** UTF-16 units of a text that a pattern is tried on. */
const MAX_TEXT = 1000;
/** Steps of a search in the time of a step of a budget. */
const SEARCH_STEPS_PER_STEP = 4;

/** Patterns of a client, each read once, and tried as long as a budget lasts. */
export class PatternMatchers {
  readonly #budget: WorkBudget;
  readonly #known = new Map<string, PatternMatcher>();

  constructor(budget: WorkBudget) {
    this.#budget = budget;
  }

  /** Whether `pattern` matches anywhere in `text`; null = it cannot be told. */
  matches(pattern: unknown, text: string): boolean | null {
    if (typeof pattern !== "string" || text.length > MAX_TEXT || this.#budget.left === 0)
      return null;
    const { matches, steps } = this.#matcher(pattern).match(text);
    this.#budget.spend(1 + Math.floor(steps / SEARCH_STEPS_PER_STEP));
    return matches;
  }

  #matcher(pattern: string): PatternMatcher {
    const known = this.#known.get(pattern);
    if (known !== undefined) return known;
    this.#budget.spend(pattern.length);
    const matcher = new PatternMatcher(pattern);
    this.#known.set(pattern, matcher);
    return matcher;
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
      case "look":
        return new Set(
          [...starts].filter((at) => {
            return this.#ends(node.item, new Set([at])).size > 0 !== node.negative;
          }),
        );
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
    const found = new Set(min === 0 ? starts : []);
    let reached = starts;
    const most = max ?? Number.POSITIVE_INFINITY;
    for (let count = 1; count <= most; count++) {
      const next = this.#ends(item, reached);
      // Where an item may be empty, nothing changes any more at some point.
      const settled = next.size === reached.size && next.isSubsetOf(reached);
      const isNew = !next.isSubsetOf(found);
      if (count >= min || settled) for (const at of next) found.add(at);
      if (next.size === 0 || settled || (count >= min && !isNew)) break;
      reached = next;
    }
    return found;
  }
}
