import { describe, expect, test } from "bun:test";
import { AssertionError, defined } from "../../src/lib/assert.ts";
import { addTokens, cosine, spell, using } from "./backend-driver.ts";
import { type ConformanceHost, OTHER, PROMPT } from "./conformance-host.ts";

/** What a backend promises of its vocabulary and its embeddings. */
export function vocabularyPromises(host: ConformanceHost): void {
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
      expect(spell(host.model, host.tokenize(text))).toBe(text);
    });

    test("control tokens are made of their text only when asked", () => {
      const { vocabulary } = host.model;
      const control = defined(vocabulary.endOfGeneration[0], "there is an end");
      const text = spell(host.model, [control]);
      expect([...vocabulary.tokenize(text, false, true)]).toEqual([control]);
      expect([...vocabulary.tokenize(text, false, false)]).not.toContain(control);
      expect(vocabulary.isControl(control)).toBe(true);
      expect(vocabulary.piece(control, false)).toHaveLength(0);
    });

    test("every end-of-generation token is known as one", () => {
      const { vocabulary } = host.model;
      const found = Array.from({ length: vocabulary.size }, (_, token) => token).filter((token) =>
        vocabulary.isEndOfGeneration(token),
      );
      expect(found).toEqual([...vocabulary.endOfGeneration]);
    });

    test("a token outside the vocabulary is an assertion", () => {
      expect(() => host.model.vocabulary.piece(host.model.vocabulary.size, true)).toThrow(
        AssertionError,
      );
      expect(() => host.model.vocabulary.piece(-1, true)).toThrow(AssertionError);
    });
  });

  describe("embeddings", () => {
    const embed = { ...host.options, purpose: "embed" as const };

    test("many inputs in one decode give what each gives alone", () => {
      using(host.model.createContext(embed), (context) => {
        const inputs = [PROMPT, OTHER, "x", "Different words of another length entirely"];
        const vector = (sequence: number): Float32Array => {
          const found = context.embedding(sequence);
          expect(found).toHaveLength(host.model.facts.embeddingSize);
          return found;
        };
        const clear = () =>
          inputs.forEach((_, sequence) => context.removeSequence(sequence, 0, -1));
        context.batch.clear();
        inputs.forEach((text, sequence) => addTokens(context, host.tokenize(text), sequence));
        expect(context.decode()).toBe("ok");
        const together = inputs.map((_, sequence) => vector(sequence));
        clear();
        for (const [index, text] of inputs.entries()) {
          context.batch.clear();
          addTokens(context, host.tokenize(text), 0);
          context.decode();
          expect(cosine(vector(0), together[index]!)).toBeGreaterThan(0.9999);
          clear();
        }
        expect(cosine(together[0]!, together[1]!)).toBeLessThan(0.9999);
      });
    });

    test("contexts that decode apart at the same time give what each gives alone", async () => {
      const contexts = [host.model.createContext(embed), host.model.createContext(embed)];
      const decodeAll = (): Promise<string[]> =>
        Promise.all(contexts.map((context) => context.decodeApart()));
      try {
        const alone = contexts.map((context, index) => {
          addTokens(context, host.tokenize(index === 0 ? PROMPT : OTHER), 0);
          expect(context.decode()).toBe("ok");
          const vector = context.embedding(0);
          context.removeSequence(0, 0, -1);
          return vector;
        });
        for (let round = 0; round < 3; round++) {
          expect(await decodeAll()).toEqual(["ok", "ok"]);
          for (const [index, context] of contexts.entries()) {
            expect(cosine(context.embedding(0), alone[index]!)).toBeGreaterThan(0.9999);
            context.removeSequence(0, 0, -1);
          }
        }
      } finally {
        for (const context of contexts) context.dispose();
      }
    });

    test("a context that decodes apart may not be used meanwhile", async () => {
      const context = host.model.createContext(embed);
      try {
        addTokens(context, host.tokenize(PROMPT), 0);
        const decode = context.decodeApart();
        expect(() => context.dispose()).toThrow(AssertionError);
        expect(() => context.decode()).toThrow(AssertionError);
        expect(() => context.embedding(0)).toThrow(AssertionError);
        expect(await decode).toBe("ok");
        expect(context.embedding(0)).toHaveLength(host.model.facts.embeddingSize);
      } finally {
        context.dispose();
      }
    });
  });
}
