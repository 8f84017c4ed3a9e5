/** Steps of the search for ambiguity, for one grammar or all patterns of a request: about 50 ms. */
export const WAYS_STEPS = 200_000;
/** Steps of putting patterns, formats and lengths of strings together. */
const TEXT_STEPS = 200_000;
/** Steps for comparing the members of every `oneOf` of a request. */
const UNION_STEPS = 200_000;
/** Steps for looking at every listed value of a request. */
const VALUE_STEPS = 200_000;

/**
 * Work that one request may cause in one go, counted in steps so that a verdict does not depend on
 * the machine. Everything of its kind that a request asks for shares it.
 */
export class WorkBudget {
  /** What passed before: the same again costs nothing. */
  readonly passed = new Set<string>();
  #left: number;

  /** @param steps Each well under a microsecond. */
  constructor(steps: number) {
    this.#left = steps;
  }

  /** Steps that may still be spent; 0 = none. */
  get left(): number {
    return this.#left;
  }

  /** Takes `steps`, or what is left of them. */
  spend(steps: number): void {
    this.#left = Math.max(0, this.#left - steps);
  }
}

/** What the schemas of one request may cost together. No kind of work takes from another. */
export class RequestBudgets {
  readonly patterns = new WorkBudget(WAYS_STEPS);
  readonly texts = new WorkBudget(TEXT_STEPS);
  readonly unions = new WorkBudget(UNION_STEPS);
  readonly values = new WorkBudget(VALUE_STEPS);
}
