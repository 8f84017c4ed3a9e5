import { describe, expect, test } from "bun:test";
import { defined } from "../../src/lib/assert.ts";
import { hasCode } from "../../src/lib/errors.ts";
import type { ModelContext } from "../../src/llama/backend.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";
import { addTokens, generate, spell, using } from "./backend-driver.ts";
import { type ConformanceHost, GREEDY, PROMPT } from "./conformance-host.ts";

/** What a backend promises of samplers and grammars. */
export function samplingPromises(host: ConformanceHost): void {
  describe("sampling", () => {
    const sampleOnce = (context: ModelContext, sampling: Sampling, row: number): number => {
      const sampler = context.createSampler(sampling, 0, new Int32Array(0));
      try {
        return sampler.sample(row);
      } finally {
        sampler.dispose();
      }
    };
    const prefill = (context: ModelContext): number => {
      context.batch.clear();
      const row = addTokens(context, host.tokenize(PROMPT), 0);
      context.decode();
      return row;
    };

    test("temperature 0 takes the largest logit", () => {
      host.withContext((context) => {
        const row = prefill(context);
        const logits = context.logits(row);
        expect(logits[sampleOnce(context, GREEDY, row)]).toBe(Math.max(...logits));
      });
    });

    test("a banned token is not taken, and a pushed one is", () => {
      host.withContext((context) => {
        const row = prefill(context);
        const best = sampleOnce(context, GREEDY, row);
        const banned: Sampling = { ...GREEDY, logitBias: [[best, null]] };
        expect(sampleOnce(context, banned, row)).not.toBe(best);
        const pushed: Sampling = { ...GREEDY, logitBias: [[7, 100]] };
        expect(sampleOnce(context, pushed, row)).toBe(7);
        const outside: Sampling = { ...GREEDY, logitBias: [[host.model.vocabulary.size, 100]] };
        expect(sampleOnce(context, outside, row)).toBe(best);
      });
    });

    test("the end is not chosen while it is banned", () => {
      host.withContext((context) => {
        const row = prefill(context);
        const end = defined(host.model.vocabulary.endOfGeneration[0], "there is an end");
        const wantsEnd: Sampling = { ...GREEDY, logitBias: [[end, 200]] };
        using(context.createSampler(wantsEnd, 0, new Int32Array(0)), (sampler) => {
          expect(sampler.sample(row)).toBe(end);
          sampler.banEndOfGeneration(true);
          expect(host.model.vocabulary.isEndOfGeneration(sampler.sample(row))).toBe(false);
          sampler.banEndOfGeneration(false);
          expect(sampler.sample(row)).toBe(end);
        });
        const ignoring: Sampling = { ...wantsEnd, ignoreEos: true };
        const token = sampleOnce(context, ignoring, row);
        expect(host.model.vocabulary.isEndOfGeneration(token)).toBe(false);
      });
    });

    test("a seed gives the same tokens again, another choice gives others", () => {
      const run = (seed: number, choice: number): string => {
        const context = host.model.createContext(host.options);
        const warm: Sampling = { ...DEFAULT_SAMPLING, seed, temperature: 2, ignoreEos: true };
        const sampler = context.createSampler(warm, choice, new Int32Array(0));
        try {
          return generate(host.model, context, sampler, host.tokenize(PROMPT), 24).join();
        } finally {
          sampler.dispose();
          context.dispose();
        }
      };
      expect(run(7, 0)).toBe(run(7, 0));
      expect(run(7, 1)).not.toBe(run(7, 0));
      expect(run(8, 0)).not.toBe(run(7, 0));
    });

    test("a grammar decides what can be said, then only the end follows", () => {
      host.withContext((context) => {
        const { vocabulary } = host.model;
        using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
          sampler.setGrammar(host.model.createGrammar('root ::= "yes" | "no" [0-9]'));
          const tokens = generate(host.model, context, sampler, host.tokenize(PROMPT), 20);
          expect(spell(host.model, tokens)).toMatch(/^(yes|no[0-9])$/);
          context.batch.clear();
          const row = addTokens(context, host.tokenize("."), 1);
          context.decode();
          expect(vocabulary.isEndOfGeneration(sampler.sample(row))).toBe(true);
          sampler.setGrammar(null);
          expect(vocabulary.isEndOfGeneration(sampler.sample(row))).toBe(false);
        });
      });
    });
  });

  describe("grammars", () => {
    const grammar = 'root ::= "<tool_call>" [a-zé]+ "</tool_call>"';

    test("text that was generated advances a grammar, wherever tokens begin", () => {
      using(host.model.createGrammar(grammar), (state) => {
        for (const text of ["<tool_", "call>caf", "é", "</tool_call"]) {
          expect(state.isComplete).toBe(false);
          expect(state.acceptText(text)).toBe(true);
        }
        expect(state.isComplete).toBe(false);
        expect(state.acceptText(">")).toBe(true);
        expect(state.isComplete).toBe(true);
      });
    });

    test("text that is refused leaves the grammar where it was", () => {
      using(host.model.createGrammar(grammar), (state) => {
        expect(state.acceptText("<tool_call>ab")).toBe(true);
        expect(state.acceptText("c9")).toBe(false);
        expect(state.acceptText("c</tool_call>x")).toBe(false);
        expect(state.acceptText("c</tool_call>")).toBe(true);
        expect(state.isComplete).toBe(true);
      });
    });

    test("a clone goes its own way", () => {
      using(host.model.createGrammar('root ::= "a" ("b" | "c")'), (state) => {
        state.acceptText("a");
        using(state.clone(), (clone) => {
          expect(clone.acceptText("b")).toBe(true);
          expect(clone.isComplete).toBe(true);
          expect(state.isComplete).toBe(false);
          expect(state.acceptText("c")).toBe(true);
        });
      });
    });

    test("a sampler goes on where the grammar stands", () => {
      host.withContext((context) => {
        using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
          const state = host.model.createGrammar('root ::= "answer: " ("yes" | "no")');
          state.acceptText("answer: y");
          sampler.setGrammar(state);
          const tokens = generate(host.model, context, sampler, host.tokenize(PROMPT), 20);
          expect(spell(host.model, tokens)).toBe("es");
        });
      });
    });

    const invalid = ['root ::= "a', "root ::= (", 'start ::= "a"', 'root ::= "a\0"', ""];
    test.each(invalid)("%j is refused", (gbnf) => {
      let error: unknown;
      try {
        host.model.createGrammar(gbnf).dispose();
      } catch (caught) {
        error = caught;
      }
      expect(hasCode(error, "invalid_request") && error.details.reason).toBe("invalid_grammar");
    });
  });
}
