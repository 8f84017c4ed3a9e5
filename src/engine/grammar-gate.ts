import { defined } from "../lib/assert.ts";
import type { Grammar, Sampler } from "../llama/backend.ts";
import type { GrammarAttach } from "../protocol/commands.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { Piece } from "./pieces.ts";
import { StopMatcher } from "./stop-matcher.ts";

type MarkerAttach = Extract<GrammarAttach, { kind: "marker" }>;

/**
 * Hands a grammar to the sampler of one choice when its time has come. Text that follows the
 * trigger within the same token is given to the grammar too; if the grammar refuses it, that text
 * stays free and the constraint begins with the next token.
 */
export class GrammarGate {
  readonly #attach: GrammarAttach;
  readonly #sampler: Sampler;
  readonly #detokenizer = new Detokenizer();
  /** Owned until the sampler has it. */
  #grammar: Grammar | null;
  #matcher: StopMatcher | null = null;

  /** @param grammar becomes the gate's own. */
  constructor(attach: GrammarAttach, grammar: Grammar, sampler: Sampler) {
    this.#attach = attach;
    this.#grammar = grammar;
    this.#sampler = sampler;
    switch (attach.kind) {
      case "start":
        this.#constrain("", "");
        break;
      case "after":
        sampler.banEndOfGeneration(true);
        this.#matcher = new StopMatcher([attach.end]);
        break;
      case "marker":
        this.#matcher = attach.reasoning?.open
          ? new StopMatcher([attach.reasoning.end])
          : freeText(attach);
        break;
    }
  }

  /** Takes each accepted token, control tokens with their text. */
  push(piece: Piece): void {
    if (this.#matcher === null) return;
    let rest = this.#detokenizer.push(piece);
    while (this.#matcher !== null) {
      const result = this.#matcher.push(rest);
      if (result.hit === null) return;
      rest = result.rest;
      this.#found(result.hit, rest);
    }
  }

  dispose(): void {
    this.#grammar?.dispose();
    this.#grammar = null;
    this.#matcher = null;
  }

  #found(hit: string, rest: string): void {
    const attach = this.#attach;
    if (attach.kind !== "marker") {
      this.#constrain("", rest);
      this.#sampler.banEndOfGeneration(false);
    } else if (attach.markers.includes(hit)) {
      this.#constrain(hit, rest);
    } else if (hit === attach.reasoning?.start) {
      this.#matcher = new StopMatcher([attach.reasoning.end]);
    } else {
      this.#matcher = freeText(attach);
    }
  }

  #constrain(marker: string, rest: string): void {
    const grammar = defined(this.#grammar, "a gate opens once");
    this.#grammar = null;
    this.#matcher = null;
    const whole = grammar.clone();
    if (whole.acceptText(marker + rest)) {
      grammar.dispose();
      this.#sampler.setGrammar(whole);
      return;
    }
    whole.dispose();
    if (marker === "" || grammar.acceptText(marker)) this.#sampler.setGrammar(grammar);
    else grammar.dispose();
  }
}

function freeText(attach: MarkerAttach): StopMatcher {
  const start = attach.reasoning?.start ?? "";
  return new StopMatcher(start === "" ? attach.markers : [...attach.markers, start]);
}
