import type { ModelContext } from "../llama/backend.ts";
import type { TokenLogprob } from "../protocol/events.ts";
import type { Job } from "./job.ts";
import { scoreToken, unscoredToken } from "./logprobs.ts";
import type { PieceTable } from "./pieces.ts";
import type { Slot } from "./slot.ts";

/** Log probabilities of the tokens of prompts whose jobs asked for them, while they are computed. */
export class PromptScores {
  readonly #context: ModelContext;
  readonly #pieces: PieceTable;
  readonly #scores = new Map<Job, TokenLogprob[]>();

  constructor(context: ModelContext, pieces: PieceTable) {
    this.#context = context;
    this.#pieces = pieces;
  }

  /** The prompt of a job is computed from its beginning, perhaps again. */
  begin(job: Job): void {
    this.#scores.set(job, []);
  }

  /**
   * Takes the `count` rows from `row` on that the last decode computed of a slot; row i scores the
   * token after it.
   * @returns all scores once the prompt is computed, null before.
   */
  add({ choice, computed, remaining }: Slot, row: number, count: number): TokenLogprob[] | null {
    const { job } = choice;
    const scores = this.#scores.get(job) ?? [];
    const first = computed - count;
    if (first === 0) scores.push(unscoredToken(job.prompt[0] ?? 0, this.#pieces));
    for (let index = 0; index < count; index++) {
      const token = job.prompt[first + index + 1];
      if (token === undefined) break;
      const logits = this.#context.logits(row + index);
      scores.push(scoreToken(logits, token, job.spec.logprobs ?? 0, this.#pieces));
    }
    if (remaining > 0) return null;
    job.wantsPromptScores = false;
    this.#scores.delete(job);
    return scores;
  }

  /** The job is over, or never gets there. */
  forget(job: Job): void {
    this.#scores.delete(job);
  }
}
