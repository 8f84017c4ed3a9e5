import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/lib/assert.ts";
import { hasCode } from "../../src/lib/errors.ts";
import { using } from "./backend-driver.ts";
import { type ConformanceHost, GREEDY } from "./conformance-host.ts";

/** What a backend promises when parts are misused. */
export function lifetimePromises(host: ConformanceHost): void {
  describe("lifetimes", () => {
    test("a second disposal is an assertion", () => {
      const context = host.model.createContext(host.options);
      const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
      const grammar = host.model.createGrammar('root ::= "a"');
      for (const part of [grammar, sampler, context]) {
        part.dispose();
        expect(() => part.dispose()).toThrow(AssertionError);
      }
    });

    test("use after disposal is an assertion", () => {
      const context = host.model.createContext(host.options);
      context.batch.add(0, 0, 0, true);
      context.decode();
      const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
      const grammar = host.model.createGrammar('root ::= "a"');
      sampler.dispose();
      grammar.dispose();
      context.dispose();
      const uses = [
        () => sampler.sample(0),
        () => sampler.accept(0),
        () => grammar.acceptText("a"),
        () => grammar.clone(),
        () => grammar.isComplete,
        () => context.decode(),
        () => context.logits(0),
        () => context.lastPosition(0),
        () => context.createSampler(GREEDY, 0, new Int32Array(0)),
      ];
      for (const use of uses) expect(use).toThrow(AssertionError);
    });

    test("a grammar that was given to a sampler belongs to it", () => {
      host.withContext((context) => {
        using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
          const grammar = host.model.createGrammar('root ::= "a"');
          sampler.setGrammar(grammar);
          expect(() => grammar.dispose()).toThrow(AssertionError);
        });
      });
    });

    test("a context outlives its samplers, and a model its contexts", () => {
      const short = host.load(host.modelPath);
      const context = short.createContext(host.options);
      const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
      expect(() => context.dispose()).toThrow(AssertionError);
      sampler.dispose();
      expect(() => short.dispose()).toThrow(AssertionError);
      context.dispose();
      short.dispose();
      expect(() => short.dispose()).toThrow(AssertionError);
      expect(() => short.createContext(host.options)).toThrow(AssertionError);
    });

    test("a file that is no model is refused with the reason", () => {
      let error: unknown;
      try {
        host.load(host.corruptPath).dispose();
      } catch (caught) {
        error = caught;
      }
      expect(hasCode(error, "invalid_file") && error.details.reason).toBeTruthy();
    });
  });
}
