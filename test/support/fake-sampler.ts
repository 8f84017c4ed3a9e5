import { assert } from "../../src/lib/assert.ts";
import type { Grammar, Sampler, Vocabulary } from "../../src/llama/backend.ts";
import type { Sampling } from "../../src/protocol/sampling.ts";
import { FakeGrammar } from "./fake-grammar.ts";
import { Lifetime, mix } from "./fake-lifetime.ts";

/** What the sampler needs of the context it belongs to. */
export interface SamplerHost {
  readonly vocabulary: Vocabulary;
  logits(row: number): Float32Array;
  /** Called before each choice; numbers them from 1. */
  onSample(count: number): void;
}

/** Greedy at temperature 0, else a seeded draw; obeys bias, grammar and the end-token ban. */
export class FakeSampler implements Sampler {
  readonly #host: SamplerHost;
  readonly #sampling: Sampling;
  readonly #lifetime = new Lifetime("sampler");
  readonly #onDispose: () => void;
  #random: number;
  #grammar: FakeGrammar | null = null;
  #endGrammar: () => void = () => undefined;
  #banned = false;
  #samples = 0;

  constructor(host: SamplerHost, sampling: Sampling, choice: number, onDispose: () => void) {
    this.#host = host;
    this.#sampling = sampling;
    this.#onDispose = onDispose;
    this.#random = (sampling.seed ?? Math.floor(Math.random() * 2 ** 31)) + choice;
  }

  sample(row: number): number {
    this.#lifetime.check();
    this.#host.onSample(++this.#samples);
    const logits = this.#host.logits(row).slice();
    for (let token = 0; token < logits.length; token++) {
      if (!this.#allows(token)) logits[token] = -Infinity;
    }
    for (const [token, bias] of this.#sampling.logitBias) {
      if (typeof token !== "number" || token < 0 || token >= logits.length) continue;
      logits[token] = bias === null ? -Infinity : (logits[token] ?? 0) + bias;
    }
    if (this.#sampling.temperature > 0) {
      // Gumbel noise: the largest sum is a draw from the softmax.
      this.#random = mix(this.#random, this.#samples);
      for (let token = 0; token < logits.length; token++) {
        const uniform = (mix(this.#random, token) + 1) / 2 ** 32;
        logits[token] =
          (logits[token] ?? 0) / this.#sampling.temperature - Math.log(-Math.log(uniform));
      }
    }
    let best = 0;
    for (let token = 1; token < logits.length; token++) {
      if ((logits[token] ?? 0) > (logits[best] ?? 0)) best = token;
    }
    return best;
  }

  accept(token: number): void {
    this.#lifetime.check();
    const { vocabulary } = this.#host;
    if (this.#grammar === null || vocabulary.isEndOfGeneration(token)) return;
    const text = Buffer.from(vocabulary.piece(token, true)).toString("latin1");
    assert(this.#grammar.acceptText(text), "a sampled token fits the grammar");
  }

  setGrammar(grammar: Grammar | null): void {
    this.#lifetime.check();
    this.#grammar?.dispose();
    // A copy: the giver's object is of no more use, as with the real library.
    this.#grammar = (grammar?.clone() ?? null) as FakeGrammar | null;
    grammar?.dispose();
  }

  banEndOfGeneration(banned: boolean): void {
    this.#lifetime.check();
    this.#banned = banned;
  }

  dispose(): void {
    this.#lifetime.end();
    this.#endGrammar();
    this.#onDispose();
  }

  #allows(token: number): boolean {
    const { vocabulary } = this.#host;
    if (vocabulary.isEndOfGeneration(token)) {
      if (this.#banned || this.#sampling.ignoreEos) return false;
      return this.#grammar === null || this.#grammar.isComplete;
    }
    if (this.#grammar === null) return true;
    const text = Buffer.from(vocabulary.piece(token, true)).toString("latin1");
    return text !== "" && this.#grammar.allows(text);
  }
}
