import type { Clock } from "../lib/clock.ts";
import { invalidRequest } from "../lib/errors.ts";

/** Choosing a token may cost this much for as long as it likes. */
const STEP_MS = 60;
/** What may be spent above that, all steps together, before the job is ended. */
const EXCESS_MS = 240;

/**
 * Times the choice of tokens under one job's grammar. The matcher follows every way to read the text
 * so far, and a grammar may offer twice as many with every character: no look at the grammar alone
 * finds all of these. What grows too slow is ended before it stops the engine.
 */
export class GrammarWatch {
  readonly #clock: Clock;
  #startMs = 0;
  #startCpu: NodeJS.CpuUsage = { user: 0, system: 0 };
  #excessMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call before a token is chosen. */
  start(): void {
    this.#startMs = this.#clock.monotonicMs();
    this.#startCpu = process.cpuUsage();
  }

  /**
   * Call when the token was chosen. Processor time counts, so that a busy machine fails nobody.
   * @throws LmError invalid_request (invalid_grammar) when choosing takes too long.
   */
  check(): void {
    const { user, system } = process.cpuUsage(this.#startCpu);
    const usedMs = Math.min(this.#clock.monotonicMs() - this.#startMs, (user + system) / 1000);
    this.#excessMs = Math.max(0, this.#excessMs + usedMs - STEP_MS);
    if (this.#excessMs < EXCESS_MS) return;
    throw invalidRequest(
      "format",
      "invalid_grammar",
      `The grammar can be read in too many ways: choosing a token took ${Math.round(usedMs)} ms.`,
    );
  }
}
