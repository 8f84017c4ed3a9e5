import { join } from "node:path";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { Model } from "../../src/llama/backend.ts";

const ROOT = join(import.meta.dir, "../..");
const LIBRARIES = join(ROOT, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");

let model: Model | null = null;

/** llama.cpp's own grammar matcher, over the vocabulary of the demo model. */
export function grammarModel(): Model {
  model ??= createFfiBackend({ libraryDir: LIBRARIES, onLog: () => {} }).loadModel(
    {
      path: join(ROOT, "src/assets/demo.gguf"),
      gpuLayers: "off",
      contextLength: null,
      mmap: true,
    },
    () => {},
  );
  return model;
}

/** Which of `texts` the grammar matches from beginning to end. */
export function matched(gbnf: string, texts: readonly string[]): string[] {
  const grammar = grammarModel().createGrammar(gbnf);
  try {
    return texts.filter((text) => {
      const copy = grammar.clone();
      try {
        return copy.acceptText(text) && copy.isComplete;
      } finally {
        copy.dispose();
      }
    });
  } finally {
    grammar.dispose();
  }
}
