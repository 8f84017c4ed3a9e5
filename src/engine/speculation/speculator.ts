import type { SpeculationLoad } from "../../protocol/events.ts";
import type { Choice } from "../choice.ts";
import type { PieceTable } from "../pieces.ts";
import type { Slot } from "../slot.ts";
import type { DraftModel } from "./draft-model.ts";
import { planRows } from "./plan-rows.ts";
import { type Prices, SequenceDrafts } from "./sequence-drafts.ts";
import { type CostLine, StepCost } from "./step-cost.ts";

/** A draft model and how far it may guess. */
export interface Drafter {
  model: DraftModel;
  /** Guesses per step and sequence. */
  maxTokens: number;
  /** Fewer are not worth a check. */
  minTokens: number;
}

/**
 * Guesses the next tokens of running sequences, so that one decode can check several of them. What
 * is sampled decides: a guess changes how soon a token comes, never which.
 */
export class Speculator {
  readonly #pieces: PieceTable;
  readonly #drafter: Drafter | null;
  readonly #cost = new StepCost();
  readonly #sequences = new WeakMap<Choice, SequenceDrafts>();
  readonly totals: SpeculationLoad = { draftedTokens: 0, acceptedTokens: 0 };

  /** @param drafter its own from now on; null = guesses come from the text alone. */
  constructor(pieces: PieceTable, drafter: Drafter | null = null) {
    this.#pieces = pieces;
    this.#drafter = drafter;
  }

  /** Gives each decoding slot its guesses, at most `room` in all. */
  propose(decoding: readonly Slot[], room: number): void {
    const streams = decoding.length;
    if (streams === 0) return;
    const cost = this.#cost.line;
    const guessCost = (this.#drafter?.model.stepMs ?? 0) / streams;
    const prices = this.#prices(cost, streams, guessCost);
    const most = this.#drafter?.maxTokens ?? 0;
    const offers = decoding.map(({ choice }) => {
      const offer = this.#of(choice).offer(prices);
      return offer.source === "text"
        ? { ...offer, guessCost: 0 }
        : { ...offer, guessCost, most: Math.min(offer.most, most) };
    });
    const counts = planRows(offers, streams, cost, room);
    const wishes = decoding.map(({ choice }, index) => {
      return { choice, count: offers[index]?.source === "model" ? (counts[index] ?? 0) : 0 };
    });
    const guessed = wishes.some(({ count }) => count > 0)
      ? (this.#drafter?.model.draft(wishes) ?? [])
      : [];
    for (const [index, slot] of decoding.entries()) {
      const isRead = offers[index]?.source === "text";
      const drafts = isRead ? this.#of(slot.choice).read(counts[index] ?? 0) : guessed[index];
      slot.drafts = this.#worthwhile(drafts ?? slot.drafts, isRead);
    }
  }

  /** The first `accepted` guesses of the slot were sampled. */
  verified({ choice, drafts }: Slot, accepted: number): void {
    if (drafts.length === 0) return;
    const isWrong = accepted < drafts.length && choice.finish === null;
    this.#of(choice).verified(drafts.length, accepted, isWrong);
    const counts = choice.job.drafts;
    counts.drafted += drafts.length;
    counts.accepted += accepted;
    counts.rejected += isWrong ? 1 : 0;
    this.totals.draftedTokens += drafts.length;
    this.totals.acceptedTokens += accepted;
  }

  /** A decode of nothing but generated tokens and guesses took so long. */
  recordStep(rows: number, elapsedMs: number): void {
    this.#cost.record(rows, elapsedMs);
  }

  /** The choice has no slot any more; it may get one again. */
  release(choice: Choice): void {
    this.#drafter?.model.release(choice);
  }

  dispose(): void {
    this.#drafter?.model.dispose();
  }

  /** Tokens that all streams together would get in the time of one guess. */
  #prices(cost: CostLine, streams: number, guessCost: number): Prices {
    const tokensPerUnit = streams / (cost.fixed + cost.row * streams);
    const text = cost.row * tokensPerUnit;
    return { text, model: this.#drafter === null ? null : text + guessCost * tokensPerUnit };
  }

  #worthwhile(drafts: Int32Array, isRead: boolean): Int32Array {
    // Nothing follows an end.
    const end = drafts.findIndex((token) => this.#pieces.isEndOfGeneration(token));
    const useful = end < 0 ? drafts : drafts.subarray(0, end);
    const least = isRead ? 0 : (this.#drafter?.minTokens ?? 0);
    return useful.length < least ? useful.subarray(0, 0) : useful;
  }

  #of(choice: Choice): SequenceDrafts {
    const known = this.#sequences.get(choice);
    if (known !== undefined) return known;
    const created = new SequenceDrafts(choice);
    this.#sequences.set(choice, created);
    return created;
  }
}
