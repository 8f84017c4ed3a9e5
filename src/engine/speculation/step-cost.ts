/** What one more row costs, as a part of a step with one row, before it is measured. */
const FIRST_GUESS = 0.2;
/** The guess weighs like so many steps whose rows differ by one. */
const GUESS_WEIGHT = 4;
/** A row is never believed to be cheaper than this part of a step. */
const LEAST_SHARE = 0.02;
/** Each step makes the ones before count so much less. */
const MEMORY = 0.98;
/** A step that took longer than this times what was expected was disturbed. */
const DISTURBED = 3;

/** Duration of a decode as a straight line over its rows, in one unit of time. */
export interface CostLine {
  fixed: number;
  row: number;
}

/**
 * Learns what a decode of generated tokens takes by its rows: reading the weights costs the same for
 * every step, computing costs by the row. Few rows are nearly free as long as memory is the limit.
 */
export class StepCost {
  #weight = 0;
  #rows = 0;
  #rowsSquared = 0;
  #ms = 0;
  #product = 0;

  /** A decode of `rows` generated or guessed tokens and nothing else took so long. */
  record(rows: number, elapsedMs: number): void {
    if (elapsedMs <= 0) return;
    const { fixed, row } = this.line;
    const ms = this.#weight > 1 ? Math.min(elapsedMs, DISTURBED * (fixed + row * rows)) : elapsedMs;
    this.#weight = this.#weight * MEMORY + 1;
    this.#rows = this.#rows * MEMORY + rows;
    this.#rowsSquared = this.#rowsSquared * MEMORY + rows * rows;
    this.#ms = this.#ms * MEMORY + ms;
    this.#product = this.#product * MEMORY + rows * ms;
  }

  /** Least squares, drawn to the first guess while steps of different sizes are few. */
  get line(): CostLine {
    if (this.#weight === 0) return { fixed: 1 - FIRST_GUESS, row: FIRST_GUESS };
    const rows = this.#rows / this.#weight;
    const ms = this.#ms / this.#weight;
    const variance = this.#rowsSquared / this.#weight - rows * rows;
    const covariance = this.#product / this.#weight - rows * ms;
    const guessed = (FIRST_GUESS * ms) / (1 + FIRST_GUESS * (rows - 1));
    const trust = GUESS_WEIGHT / this.#weight;
    const slope = (covariance + trust * guessed) / (variance + trust);
    const row = Math.min(Math.max(slope, LEAST_SHARE * ms), ms / rows);
    return { fixed: ms - row * rows, row };
  }
}
