/**
 * Work that one request may cause in one go, counted in steps so that a verdict does not depend on
 * the machine. Everything a request asks for shares it.
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
