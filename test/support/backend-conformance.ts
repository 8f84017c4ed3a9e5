import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AssertionError, defined } from "../../src/lib/assert.ts";
import { hasCode } from "../../src/lib/errors.ts";
import type {
  Backend,
  ContextOptions,
  Model,
  ModelContext,
  Sampler,
} from "../../src/llama/backend.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";

/** A backend to test, with a small generating model whose vocabulary spells every byte. */
export interface ConformanceSubject {
  backend: Backend;
  modelPath: string;
  /** A file the backend must refuse. */
  corruptPath: string;
  /** Largest difference of logits that are computed in batches of other sizes. */
  tolerance: number;
  dispose: () => void;
}

const GREEDY: Sampling = { ...DEFAULT_SAMPLING, temperature: 0 };
const PROMPT = "Once upon a time there was a";
const OTHER = "The capital of France";

/** Runs `body` and disposes what it was given, in any case. */
function using<Part extends { dispose(): void }>(part: Part, body: (part: Part) => void): void {
  try {
    body(part);
  } finally {
    part.dispose();
  }
}

/** Adds tokens to the batch from a position on; the last is an output. @returns its row. */
export function addTokens(
  context: ModelContext,
  tokens: Iterable<number>,
  sequence: number,
  from = 0,
): number {
  const list = [...tokens];
  let row = -1;
  for (const [index, token] of list.entries()) {
    row = context.batch.add(token, from + index, sequence, index === list.length - 1);
  }
  return row;
}

/** Decodes one sequence alone. @returns a copy of its last logits. */
export function logitsOf(
  context: ModelContext,
  tokens: Iterable<number>,
  sequence: number,
  from = 0,
): Float32Array {
  context.batch.clear();
  const row = addTokens(context, tokens, sequence, from);
  expect(context.decode()).toBe("ok");
  return context.logits(row).slice();
}

/** Samples, decodes and repeats. @returns the tokens, without the end. */
export function generate(
  model: Model,
  context: ModelContext,
  sampler: Sampler,
  prompt: Int32Array,
  count: number,
  sequence = 0,
): number[] {
  const tokens: number[] = [];
  context.batch.clear();
  let row = addTokens(context, prompt, sequence);
  for (let position = prompt.length; tokens.length < count; position++) {
    expect(context.decode()).toBe("ok");
    const token = sampler.sample(row);
    sampler.accept(token);
    if (model.vocabulary.isEndOfGeneration(token)) break;
    tokens.push(token);
    context.batch.clear();
    row = context.batch.add(token, position, sequence, true);
  }
  return tokens;
}

export function largestDifference(one: Float32Array, other: Float32Array): number {
  return one.reduce((worst, value, at) => Math.max(worst, Math.abs(value - other[at]!)), 0);
}

export function cosine(one: Float32Array, other: Float32Array): number {
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, at) => sum + value * b[at]!, 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

export function spell(model: Model, tokens: Iterable<number>): string {
  const pieces = [...tokens].map((token) => model.vocabulary.piece(token, true));
  return Buffer.concat(pieces).toString("utf8");
}

/** What every backend promises, whatever computes. */
export function runBackendConformance(
  name: string,
  make: () => ConformanceSubject | Promise<ConformanceSubject>,
): void {
  describe(`${name} keeps the promises of a backend`, () => {
    let subject: ConformanceSubject;
    let model: Model;
    const options: ContextOptions = {
      purpose: "generate",
      contextLength: 256,
      sequences: 4,
      batchCapacity: 256,
      threads: 1,
      kvTypeK: "f32",
      kvTypeV: "f32",
      flashAttention: "off",
    };
    const load = (path: string) =>
      subject.backend.loadModel(
        { path, gpuLayers: "off", contextLength: 256, mmap: true },
        () => undefined,
      );
    const withContext = (body: (context: ModelContext) => void) =>
      using(model.createContext(options), body);
    const tokenize = (text: string) => model.vocabulary.tokenize(text, false, false);

    beforeAll(async () => {
      subject = await make();
      model = load(subject.modelPath);
    });
    afterAll(() => {
      model.dispose();
      subject.dispose();
    });

    describe("vocabulary", () => {
      const texts = [
        "",
        "a",
        "Hello, world!\n",
        "  two  spaces ",
        "naïve 😀👩‍👩‍👧 漢字",
        "\t\r\n",
        "<|im_end|>",
      ];
      test.each(texts)("tokens of %j spell it again", (text) => {
        expect(spell(model, tokenize(text))).toBe(text);
      });

      test("control tokens are made of their text only when asked", () => {
        const { vocabulary } = model;
        const control = defined(vocabulary.endOfGeneration[0], "there is an end");
        const text = spell(model, [control]);
        expect([...vocabulary.tokenize(text, false, true)]).toEqual([control]);
        expect([...vocabulary.tokenize(text, false, false)]).not.toContain(control);
        expect(vocabulary.isControl(control)).toBe(true);
        expect(vocabulary.piece(control, false)).toHaveLength(0);
      });

      test("every end-of-generation token is known as one", () => {
        const { vocabulary } = model;
        const found = Array.from({ length: vocabulary.size }, (_, token) => token).filter((token) =>
          vocabulary.isEndOfGeneration(token),
        );
        expect(found).toEqual([...vocabulary.endOfGeneration]);
      });

      test("a token outside the vocabulary is an assertion", () => {
        expect(() => model.vocabulary.piece(model.vocabulary.size, true)).toThrow(AssertionError);
        expect(() => model.vocabulary.piece(-1, true)).toThrow(AssertionError);
      });
    });

    describe("decoding", () => {
      test("logits are the same alone, in a shared batch and in chunks", () => {
        withContext((context) => {
          const [tokens, others] = [tokenize(PROMPT), tokenize(OTHER)];
          const alone = logitsOf(context, tokens, 0);
          context.batch.clear();
          addTokens(context, others, 1);
          const row = addTokens(context, tokens, 2);
          expect(context.decode()).toBe("ok");
          const shared = context.logits(row).slice();
          logitsOf(context, tokens.subarray(0, 3), 3);
          const chunked = logitsOf(context, tokens.subarray(3), 3, 3);
          expect(largestDifference(alone, shared)).toBeLessThanOrEqual(subject.tolerance);
          expect(largestDifference(alone, chunked)).toBeLessThanOrEqual(subject.tolerance);
          expect(alone).toHaveLength(model.vocabulary.size);
        });
      });

      test("a copied sequence continues as its original", () => {
        withContext((context) => {
          const tokens = tokenize(PROMPT);
          logitsOf(context, tokens, 0);
          context.copySequence(0, 1, tokens.length);
          expect(context.lastPosition(1)).toBe(tokens.length - 1);
          const next = tokenize("!");
          const original = logitsOf(context, next, 0, tokens.length);
          const copy = logitsOf(context, next, 1, tokens.length);
          expect(largestDifference(original, copy)).toBeLessThanOrEqual(subject.tolerance);
        });
      });

      test("a copied beginning continues as if it had been computed", () => {
        withContext((context) => {
          const tokens = tokenize(PROMPT);
          logitsOf(context, tokens, 0);
          context.copySequence(0, 1, 4);
          expect(context.lastPosition(1)).toBe(3);
          const copied = logitsOf(context, tokenize(OTHER), 1, 4);
          logitsOf(context, tokens.subarray(0, 4), 2);
          const fresh = logitsOf(context, tokenize(OTHER), 2, 4);
          expect(largestDifference(copied, fresh)).toBeLessThanOrEqual(subject.tolerance);
        });
      });

      test("a sequence cut back continues as if the rest had never been", () => {
        withContext((context) => {
          const tokens = tokenize(PROMPT);
          const fresh = logitsOf(context, tokens, 0);
          logitsOf(context, [...tokens.subarray(0, 5), ...tokenize(OTHER)], 1);
          expect(context.removeSequence(1, 5, -1)).toBe(true);
          expect(context.lastPosition(1)).toBe(4);
          const again = logitsOf(context, tokens.subarray(5), 1, 5);
          expect(largestDifference(fresh, again)).toBeLessThanOrEqual(subject.tolerance);
        });
      });

      test("an empty sequence has no last position", () => {
        withContext((context) => {
          expect(context.lastPosition(0)).toBe(-1);
          logitsOf(context, tokenize(PROMPT), 0);
          expect(context.removeSequence(0, 0, -1)).toBe(true);
          expect(context.lastPosition(0)).toBe(-1);
        });
      });

      test("a full cache answers full, changes nothing, and takes tokens again once freed", () => {
        withContext((context) => {
          const [token] = tokenize("a");
          const fill = Array.from({ length: context.contextLength - 2 }, () => token!);
          logitsOf(context, fill.slice(0, 200), 0);
          logitsOf(context, fill.slice(200), 1);
          context.batch.clear();
          addTokens(context, [token!, token!, token!], 2);
          expect(context.decode()).toBe("full");
          expect([0, 1, 2].map((sequence) => context.lastPosition(sequence))).toEqual([
            199,
            context.contextLength - 203,
            -1,
          ]);
          context.removeSequence(1, 0, -1);
          expect(context.decode()).toBe("ok");
          expect(context.lastPosition(2)).toBe(2);
        });
      });

      test("a saved sequence continues in another context as in its own", () => {
        withContext((context) => {
          const tokens = tokenize(PROMPT);
          logitsOf(context, tokens, 0);
          const state = context.saveSequence(0).slice();
          const next = tokenize("!");
          const expected = logitsOf(context, next, 0, tokens.length);
          withContext((other) => {
            expect(other.restoreSequence(3, state)).toBe(true);
            expect(other.lastPosition(3)).toBe(tokens.length - 1);
            const found = logitsOf(other, next, 3, tokens.length);
            expect(largestDifference(expected, found)).toBeLessThanOrEqual(subject.tolerance);
          });
        });
      });

      test("a state that was cut short is refused and leaves the sequence empty", () => {
        withContext((context) => {
          logitsOf(context, tokenize(PROMPT), 0);
          const state = context.saveSequence(0).slice();
          for (const broken of [new Uint8Array(0), state.slice(0, 3), state.slice(0, -1)]) {
            expect(context.restoreSequence(1, broken)).toBe(false);
            expect(context.lastPosition(1)).toBe(-1);
          }
        });
      });

      test("what lies outside the context's limits is an assertion", () => {
        withContext((context) => {
          const { batch } = context;
          expect(() => batch.add(model.vocabulary.size, 0, 0, true)).toThrow(AssertionError);
          expect(() => batch.add(0, 0, context.sequences, true)).toThrow(AssertionError);
          batch.clear();
          for (let row = 0; row < batch.capacity; row++) batch.add(0, row, 0, false);
          expect(() => batch.add(0, batch.capacity, 0, false)).toThrow(AssertionError);
          batch.clear();
          expect(() => context.decode()).toThrow(AssertionError);
          batch.add(0, 0, 0, false);
          context.decode();
          expect(() => context.logits(0)).toThrow(AssertionError);
          expect(() => context.setThreads(0)).toThrow(AssertionError);
          expect(() => context.setThreads(1000)).toThrow(AssertionError);
          context.setThreads(1);
        });
      });
    });

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
        const row = addTokens(context, tokenize(PROMPT), 0);
        context.decode();
        return row;
      };

      test("temperature 0 takes the largest logit", () => {
        withContext((context) => {
          const row = prefill(context);
          const logits = context.logits(row);
          expect(logits[sampleOnce(context, GREEDY, row)]).toBe(Math.max(...logits));
        });
      });

      test("a banned token is not taken, and a pushed one is", () => {
        withContext((context) => {
          const row = prefill(context);
          const best = sampleOnce(context, GREEDY, row);
          const banned: Sampling = { ...GREEDY, logitBias: [[best, null]] };
          expect(sampleOnce(context, banned, row)).not.toBe(best);
          const pushed: Sampling = { ...GREEDY, logitBias: [[7, 100]] };
          expect(sampleOnce(context, pushed, row)).toBe(7);
          const outside: Sampling = { ...GREEDY, logitBias: [[model.vocabulary.size, 100]] };
          expect(sampleOnce(context, outside, row)).toBe(best);
        });
      });

      test("the end is not chosen while it is banned", () => {
        withContext((context) => {
          const row = prefill(context);
          const end = defined(model.vocabulary.endOfGeneration[0], "there is an end");
          const wantsEnd: Sampling = { ...GREEDY, logitBias: [[end, 200]] };
          using(context.createSampler(wantsEnd, 0, new Int32Array(0)), (sampler) => {
            expect(sampler.sample(row)).toBe(end);
            sampler.banEndOfGeneration(true);
            expect(model.vocabulary.isEndOfGeneration(sampler.sample(row))).toBe(false);
            sampler.banEndOfGeneration(false);
            expect(sampler.sample(row)).toBe(end);
          });
          const ignoring: Sampling = { ...wantsEnd, ignoreEos: true };
          const token = sampleOnce(context, ignoring, row);
          expect(model.vocabulary.isEndOfGeneration(token)).toBe(false);
        });
      });

      test("a seed gives the same tokens again, another choice gives others", () => {
        const run = (seed: number, choice: number): string => {
          const context = model.createContext(options);
          const warm: Sampling = { ...DEFAULT_SAMPLING, seed, temperature: 2, ignoreEos: true };
          const sampler = context.createSampler(warm, choice, new Int32Array(0));
          try {
            return generate(model, context, sampler, tokenize(PROMPT), 24).join();
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
        withContext((context) => {
          const { vocabulary } = model;
          using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
            sampler.setGrammar(model.createGrammar('root ::= "yes" | "no" [0-9]'));
            const tokens = generate(model, context, sampler, tokenize(PROMPT), 20);
            expect(spell(model, tokens)).toMatch(/^(yes|no[0-9])$/);
            context.batch.clear();
            const row = addTokens(context, tokenize("."), 1);
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
        using(model.createGrammar(grammar), (state) => {
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
        using(model.createGrammar(grammar), (state) => {
          expect(state.acceptText("<tool_call>ab")).toBe(true);
          expect(state.acceptText("c9")).toBe(false);
          expect(state.acceptText("c</tool_call>x")).toBe(false);
          expect(state.acceptText("c</tool_call>")).toBe(true);
          expect(state.isComplete).toBe(true);
        });
      });

      test("a clone goes its own way", () => {
        using(model.createGrammar('root ::= "a" ("b" | "c")'), (state) => {
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
        withContext((context) => {
          using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
            const state = model.createGrammar('root ::= "answer: " ("yes" | "no")');
            state.acceptText("answer: y");
            sampler.setGrammar(state);
            const tokens = generate(model, context, sampler, tokenize(PROMPT), 20);
            expect(spell(model, tokens)).toBe("es");
          });
        });
      });

      const invalid = ['root ::= "a', "root ::= (", 'start ::= "a"', 'root ::= "a\0"', ""];
      test.each(invalid)("%j is refused", (gbnf) => {
        let error: unknown;
        try {
          model.createGrammar(gbnf).dispose();
        } catch (caught) {
          error = caught;
        }
        expect(hasCode(error, "invalid_request") && error.details.reason).toBe("invalid_grammar");
      });
    });

    describe("embeddings", () => {
      const embed = { ...options, purpose: "embed" as const };

      test("many inputs in one decode give what each gives alone", () => {
        using(model.createContext(embed), (context) => {
          const inputs = [PROMPT, OTHER, "x", "Different words of another length entirely"];
          const vector = (sequence: number): Float32Array => {
            const found = context.embedding(sequence);
            expect(found).toHaveLength(model.facts.embeddingSize);
            return found;
          };
          const clear = () =>
            inputs.forEach((_, sequence) => context.removeSequence(sequence, 0, -1));
          context.batch.clear();
          inputs.forEach((text, sequence) => addTokens(context, tokenize(text), sequence));
          expect(context.decode()).toBe("ok");
          const together = inputs.map((_, sequence) => vector(sequence));
          clear();
          for (const [index, text] of inputs.entries()) {
            context.batch.clear();
            addTokens(context, tokenize(text), 0);
            context.decode();
            expect(cosine(vector(0), together[index]!)).toBeGreaterThan(0.9999);
            clear();
          }
          expect(cosine(together[0]!, together[1]!)).toBeLessThan(0.9999);
        });
      });
    });

    describe("lifetimes", () => {
      test("a second disposal is an assertion", () => {
        const context = model.createContext(options);
        const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
        const grammar = model.createGrammar('root ::= "a"');
        for (const part of [grammar, sampler, context]) {
          part.dispose();
          expect(() => part.dispose()).toThrow(AssertionError);
        }
      });

      test("use after disposal is an assertion", () => {
        const context = model.createContext(options);
        context.batch.add(0, 0, 0, true);
        context.decode();
        const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
        const grammar = model.createGrammar('root ::= "a"');
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
        withContext((context) => {
          using(context.createSampler(GREEDY, 0, new Int32Array(0)), (sampler) => {
            const grammar = model.createGrammar('root ::= "a"');
            sampler.setGrammar(grammar);
            expect(() => grammar.dispose()).toThrow(AssertionError);
          });
        });
      });

      test("a context outlives its samplers, and a model its contexts", () => {
        const short = load(subject.modelPath);
        const context = short.createContext(options);
        const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
        expect(() => context.dispose()).toThrow(AssertionError);
        sampler.dispose();
        expect(() => short.dispose()).toThrow(AssertionError);
        context.dispose();
        short.dispose();
        expect(() => short.dispose()).toThrow(AssertionError);
        expect(() => short.createContext(options)).toThrow(AssertionError);
      });

      test("a file that is no model is refused with the reason", () => {
        let error: unknown;
        try {
          load(subject.corruptPath).dispose();
        } catch (caught) {
          error = caught;
        }
        expect(hasCode(error, "invalid_file") && error.details.reason).toBeTruthy();
      });
    });
  });
}
