import type { Model } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { defined } from "../../src/lib/assert.ts";
import { DEMO_MODEL, llamaLibraries } from "./llama-libraries.ts";

let demo: Model | null = null;

/** Loads a model for its vocabulary and its few layers. The caller disposes it. */
export function loadSmallModel(path: string): Model {
  const libraryDir = defined(llamaLibraries(), "llama.cpp's libraries are installed");
  const backend = createFfiBackend({ libraryDir, onLog: () => undefined });
  const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
  return backend.loadModel(file, () => undefined);
}

/** Which of `texts` the grammar matches from beginning to end, by llama.cpp's own matcher. */
export function matched(gbnf: string, texts: readonly string[]): string[] {
  demo ??= loadSmallModel(DEMO_MODEL);
  const grammar = demo.createGrammar(gbnf);
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
