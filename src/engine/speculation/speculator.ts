import type { SpeculationLoad } from "../../protocol/events.ts";
import type { Choice } from "../choice.ts";
import type { PieceTable } from "../pieces.ts";
import type { Slot } from "../slot.ts";
import { planRows } from "./plan-rows.ts";
import { SequenceDrafts } from "./sequence-drafts.ts";
import { StepCost } from "./step-cost.ts";

/**
 * Guesses the next tokens of running sequences, so that one decode can check several of them. What
 * is sampled decides: a guess changes how soon a token comes, never which.
 */
export class Speculator {
  readonly #pieces: PieceTable;
  readonly #cost = new StepCost();
  readonly #sequences = new WeakMap<Choice, SequenceDrafts>();
  /** Tokens that the time for one more row would bring otherwise, as of the last proposal. */
  #rowPrice = 1;
  readonly totals: SpeculationLoad = { draftedTokens: 0, acceptedTokens: 0 };

  constructor(pieces: PieceTable) {
    this.#pieces = pieces;
  }

  /** Gives each decoding slot its guesses, at most `room` in all. */
  propose(decoding: readonly Slot[], room: number): void {
    const streams = decoding.length;
    if (streams === 0) return;
    const cost = this.#cost.line;
    this.#rowPrice = (cost.row * streams) / (cost.fixed + cost.row * streams);
    const sequences = decoding.map(({ choice }) => this.#of(choice));
    const offers = sequences.map((sequence) => sequence.offer(this.#rowPrice));
    const counts = planRows(offers, streams, cost, room);
    for (const [index, slot] of decoding.entries()) {
      const drafts = sequences[index]?.take(counts[index] ?? 0) ?? slot.drafts;
      // Nothing follows an end.
      const end = drafts.findIndex((token) => this.#pieces.isEndOfGeneration(token));
      slot.drafts = end < 0 ? drafts : drafts.subarray(0, end);
    }
  }

  /** The first `accepted` guesses of the slot were sampled. */
  verified({ choice, drafts }: Slot, accepted: number): void {
    if (drafts.length === 0) return;
    this.#of(choice).verified(drafts.length, accepted, this.#rowPrice);
    choice.job.drafts.drafted += drafts.length;
    choice.job.drafts.accepted += accepted;
    this.totals.draftedTokens += drafts.length;
    this.totals.acceptedTokens += accepted;
  }

  /** A decode of nothing but generated tokens and guesses took so long. */
  recordStep(rows: number, elapsedMs: number): void {
    this.#cost.record(rows, elapsedMs);
  }

  #of(choice: Choice): SequenceDrafts {
    const known = this.#sequences.get(choice);
    if (known !== undefined) return known;
    const created = new SequenceDrafts(choice);
    this.#sequences.set(choice, created);
    return created;
  }
}
