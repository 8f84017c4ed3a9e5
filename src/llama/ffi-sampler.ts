import { assert } from "../lib/assert.ts";
import { invalidRequest } from "../lib/errors.ts";
import type { Sampling } from "../protocol/sampling.ts";
import type { Grammar, Sampler } from "./backend.ts";
import type { Biases } from "./candidates.ts";
import { FfiGrammar } from "./ffi-grammar.ts";
import { resolveLogitBias } from "./logit-bias.ts";
import { argmax } from "./largest.ts";
import type { ModelHost } from "./model-host.ts";
import { NativeHandle } from "./native-handle.ts";
import { RecentTokens } from "./recent-tokens.ts";
import { buildChain, planChain } from "./sampler-chain.ts";

/** The part of a context that a sampler reads. */
interface Logits {
  readonly contextLength: number;
  logits(row: number): Float32Array;
}

/** Candidates put to a grammar before it is asked for all that it allows. */
const GRAMMAR_CANDIDATES = 256;

/**
 * llama.cpp's sampler chain over the logits of one row. Greedy without a chain reads the logits
 * and nothing else. With a grammar the token is chosen first and checked alone; only when it is
 * refused are others put to the grammar, which costs far more.
 */
export class FfiSampler implements Sampler {
  readonly #model: ModelHost;
  readonly #source: Logits;
  readonly #chain: NativeHandle | null;
  readonly #drawsFromChain: boolean;
  readonly #looksBack: boolean;
  /** How many of the best candidates decide; null when all do. */
  readonly #bestCount: number | null;
  readonly #recent: RecentTokens;
  readonly #biases: Biases;
  /** The same, with every end-of-generation token banned. */
  readonly #biasesWithoutEnd: Biases;
  readonly #ignoresEnd: boolean;
  readonly #release: () => void;
  #endBanned = false;
  #grammar: FfiGrammar | null = null;
  #disposed = false;

  constructor(
    model: ModelHost,
    source: Logits,
    sampling: Sampling,
    choice: number,
    history: Int32Array,
    onDispose: () => void,
  ) {
    const { repeatPenalty } = sampling;
    if (!Number.isFinite(1 / repeatPenalty) || repeatPenalty <= 0) {
      throw invalidRequest("repeat_penalty", "invalid_value", "repeat_penalty must be above 0");
    }
    this.#model = model;
    this.#source = source;
    this.#biases = resolveLogitBias(sampling.logitBias, model.vocabulary);
    this.#biasesWithoutEnd = new Map([
      ...this.#biases,
      ...model.vocabulary.endOfGeneration.map((token) => [token, -Infinity] as const),
    ]);
    this.#ignoresEnd = sampling.ignoreEos;
    const plan = planChain(sampling, choice, source.contextLength);
    const chain = buildChain(model, sampling, plan, source.contextLength);
    const { llama } = model.library;
    this.#chain =
      chain === null ? null : new NativeHandle("sampler", chain, llama.llama_sampler_free);
    this.#drawsFromChain = plan.draw !== "argmax";
    this.#bestCount = plan.bestCount;
    this.#recent = new RecentTokens(plan.historyLength);
    this.#looksBack = plan.historyLength > 0 || plan.draw === "adaptive";
    const releaseModel = model.retain();
    this.#release = () => {
      releaseModel();
      onDispose();
    };
    if (plan.historyLength > 0) {
      for (const token of history.subarray(-plan.historyLength)) this.#remember(token);
    }
  }

  sample(row: number): number {
    assert(!this.#disposed, "sampler used after it was disposed");
    const logits = this.#source.logits(row);
    const token = this.#choose(logits);
    const grammar = this.#grammar;
    // A request that bans every token has said all it can.
    if (grammar === null) return token ?? this.#model.vocabulary.endOfGeneration[0] ?? 0;
    if (token !== null && grammar.allows(token)) return token;
    return this.#chooseAllowed(logits, grammar) ?? endOf(grammar, this.#model);
  }

  accept(token: number): void {
    assert(!this.#disposed, "sampler used after it was disposed");
    if (this.#grammar !== null) {
      assert(this.#grammar.allows(token), `the grammar does not allow token ${token}`);
      this.#grammar.acceptAllowed(token);
    }
    if (this.#looksBack) this.#remember(token);
  }

  setGrammar(grammar: Grammar | null): void {
    assert(!this.#disposed, "sampler used after it was disposed");
    assert(grammar === null || grammar instanceof FfiGrammar, "a grammar of another backend");
    const taken = grammar?.give() ?? null;
    this.#grammar?.dispose();
    this.#grammar = taken;
  }

  banEndOfGeneration(banned: boolean): void {
    this.#endBanned = banned;
  }

  dispose(): void {
    assert(!this.#disposed, "sampler disposed twice");
    this.#disposed = true;
    this.#chain?.dispose();
    this.#grammar?.dispose();
    this.#release();
  }

  #remember(token: number): void {
    this.#model.vocabulary.assertToken(token);
    this.#recent.push(token);
    if (this.#chain === null) return;
    this.#model.library.llama.llama_sampler_accept(this.#chain.pointer, token);
  }

  /** Null when everything is banned. */
  #choose(logits: Float32Array): number | null {
    const { candidates, vocabulary } = this.#model;
    const noEnd = this.#endBanned || this.#ignoresEnd;
    if (this.#chain === null && this.#biases.size === 0) {
      const token = argmax(logits);
      if (!noEnd || !vocabulary.isEndOfGeneration(token)) return token;
    }
    const biases = this.#currentBiases;
    const count = this.#bestCount;
    if (count === null || !candidates.fillBest(logits, count, biases, this.#recent.distinct)) {
      candidates.fillAll(logits, biases);
    }
    return this.#draw();
  }

  /** From what the grammar allows: the best of it when they decide, else all. Null for nothing. */
  #chooseAllowed(logits: Float32Array, grammar: FfiGrammar): number | null {
    const { candidates } = this.#model;
    const biases = this.#currentBiases;
    if (this.#bestCount !== null) {
      const count = Math.max(this.#bestCount, GRAMMAR_CANDIDATES);
      if (candidates.fillBest(logits, count, biases, this.#recent.distinct)) {
        grammar.apply();
        if (candidates.dropRefused() >= this.#bestCount) return this.#draw();
      }
    }
    candidates.fillTokens(grammar.allowedTokens(), logits, biases);
    return candidates.best() === null ? null : this.#draw();
  }

  get #currentBiases(): Biases {
    return this.#endBanned || this.#ignoresEnd ? this.#biasesWithoutEnd : this.#biases;
  }

  #draw(): number | null {
    const { candidates, library } = this.#model;
    if (this.#chain !== null) {
      library.llama.llama_sampler_apply(this.#chain.pointer, candidates.pointer);
    }
    return this.#drawsFromChain ? candidates.selected : candidates.best();
  }
}

/** What follows when nothing that is not banned may: the end, when the grammar may end here. */
function endOf(grammar: FfiGrammar, model: ModelHost): number {
  const [end] = model.vocabulary.endOfGeneration;
  if (end !== undefined && grammar.allows(end)) return end;
  throw invalidRequest(
    "grammar",
    "invalid_grammar",
    "No token of this model's vocabulary can continue the grammar",
  );
}
