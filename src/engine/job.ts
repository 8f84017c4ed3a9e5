import type { Clock } from "../lib/clock.ts";
import type { Grammar } from "../llama/backend.ts";
import type { GenerateJob } from "../protocol/commands.ts";
import type { JobTimings } from "../protocol/events.ts";
import type { AdapterSet } from "./adapter-sets.ts";
import { GrammarWatch } from "./grammar-watch.ts";

/** What the choices of one generation have in common. */
export class Job {
  readonly id: number;
  readonly spec: GenerateJob;
  readonly prompt: Int32Array;
  /** Tokens a choice may generate: `maxTokens`, cut to what the context leaves. */
  readonly limit: number;
  readonly adapters: AdapterSet;
  /** Jobs share prefixes within it only: those of one owner, computed with the same adapters. */
  readonly prefixScope: string;
  readonly keepSpecial: ReadonlySet<string>;
  /** Compiled once; each choice works on a clone. */
  readonly grammar: Grammar | null;
  /** null = no grammar. */
  readonly grammarWatch: GrammarWatch | null;
  readonly #submittedMs: number;
  #admittedMs: number | null = null;
  #firstTokenMs: number | null = null;
  /** As the server knows it: waiting for its first slot, in one, or waiting for another. */
  state: "new" | "running" | "requeued" = "new";
  /** The prompt's own tokens are to be scored, and are not yet. */
  wantsPromptScores: boolean;
  computedPromptTokens = 0;
  /** Guessed tokens of all choices, how many of them were right, and found wrong. */
  readonly drafts = { drafted: 0, accepted: 0, rejected: 0 };

  constructor(facts: {
    id: number;
    spec: GenerateJob;
    prompt: Int32Array;
    limit: number;
    adapters: AdapterSet;
    grammar: Grammar | null;
    submittedMs: number;
    clock: Clock;
  }) {
    this.id = facts.id;
    this.spec = facts.spec;
    this.prompt = facts.prompt;
    this.limit = facts.limit;
    this.adapters = facts.adapters;
    this.prefixScope = JSON.stringify([facts.spec.cacheScope, facts.adapters.key]);
    this.grammar = facts.grammar;
    this.grammarWatch = facts.grammar === null ? null : new GrammarWatch(facts.clock);
    this.wantsPromptScores = facts.spec.promptLogprobs;
    this.keepSpecial = new Set(facts.spec.keepSpecial);
    this.#submittedMs = facts.submittedMs;
  }

  markAdmitted(nowMs: number): void {
    this.#admittedMs ??= nowMs;
  }

  markToken(nowMs: number): void {
    this.#firstTokenMs ??= nowMs;
  }

  timings(nowMs: number): JobTimings {
    const admittedMs = this.#admittedMs ?? nowMs;
    const firstTokenMs = this.#firstTokenMs ?? nowMs;
    return {
      queuedMs: admittedMs - this.#submittedMs,
      prefillMs: firstTokenMs - admittedMs,
      decodeMs: nowMs - firstTokenMs,
      ttftMs: firstTokenMs - this.#submittedMs,
      computedPromptTokens: this.computedPromptTokens,
    };
  }

  dispose(): void {
    this.grammar?.dispose();
  }
}
