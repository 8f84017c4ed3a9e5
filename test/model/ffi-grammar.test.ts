import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { FfiGrammar } from "../../src/llama/ffi-grammar.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";
import { addTokens } from "../support/backend-driver.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { sharedPath } from "../support/shared.ts";

const JSON_OBJECT = String.raw`
root ::= "{" space "\"name\"" space ":" space text space "}"
space ::= | " " | "\n" [ \t]{0,20}
text ::= "\"" char* "\""
char ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})`;

interface Case {
  name: string;
  gbnf: string;
  before: string[];
}

const cases: Case[] = [
  {
    name: "an object",
    gbnf: JSON_OBJECT,
    before: ["", "{", '{"name": ', '{"name": "', '{"name": "\\', '{"name": "x"}'],
  },
  { name: "any letter but one of two bytes", gbnf: "root ::= [^é]+", before: ["", "a"] },
  { name: "letters of several bytes", gbnf: "root ::= [а-я中-国😀-😄]+", before: ["", "中"] },
  { name: "a token by its id", gbnf: 'root ::= "a" <[300]> "b"', before: ["", "a"] },
  { name: "any token but one", gbnf: "root ::= !<[300]>", before: [""] },
];

const libraryDir = llamaLibraries();
const vocabularies = ["", "vocab-llama-spm.gguf", "vocab-qwen2.gguf"].filter(
  (name) => name === "" || sharedPath(`models/${name}`) !== null,
);

describe.if(libraryDir !== null).each(vocabularies)(
  "a grammar over the vocabulary '%s'",
  (name) => {
    const folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    const path = join(folder, "model.gguf");
    const vocabularyPath = name === "" ? null : sharedPath(`models/${name}`);
    makeModel(vocabularyPath === null ? { path, seed: 3 } : { path, seed: 3, vocabularyPath });
    const backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    const options = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
    const model = backend.loadModel(options, () => undefined);
    const { vocabulary } = model;
    afterAll(() => {
      model.dispose();
      rmSync(folder, { recursive: true });
    });

    test.each(cases)("lists exactly the tokens it allows: $name", ({ gbnf, before }) => {
      for (const text of before) {
        const grammar = model.createGrammar(gbnf);
        if (!(grammar instanceof FfiGrammar)) throw new Error("not a grammar of llama.cpp");
        expect(grammar.acceptText(text)).toBe(true);
        const tokens = Array.from({ length: vocabulary.size }, (_, token) => token);
        const expected = tokens.filter((token) => grammar.allows(token));
        expect(grammar.allowedTokens().toSorted((a, b) => a - b)).toEqual(expected);
        grammar.dispose();
      }
    });

    test("leaves the draws of the whole vocabulary, though the best candidates decide", () => {
      const context = model.createContext({
        purpose: "generate",
        contextLength: 256,
        sequences: 1,
        batchCapacity: 64,
        threads: 1,
        kvTypeK: "f16",
        kvTypeV: "f16",
        flashAttention: "auto",
      });
      const history = vocabulary.tokenize("the rain in the main", false, false);
      const row = addTokens(context, history, 0);
      context.decode();
      const draws = (changes: Partial<Sampling>, text: string): number[] =>
        Array.from({ length: 60 }, (_, seed) => {
          const sampling = { ...DEFAULT_SAMPLING, topK: 3, presencePenalty: 2, ...changes, seed };
          const sampler = context.createSampler(sampling, 0, history);
          const grammar = model.createGrammar(JSON_OBJECT);
          expect(grammar.acceptText(text)).toBe(true);
          sampler.setGrammar(grammar);
          const token = sampler.sample(row);
          sampler.accept(token);
          sampler.dispose();
          return token;
        });
      for (const text of ["{", '{"name": "']) {
        // A sigma this wide keeps all, but makes all candidates take part.
        expect(draws({}, text)).toEqual(draws({ topNSigma: 1e6 }, text));
      }
      context.dispose();
    });
  },
);
