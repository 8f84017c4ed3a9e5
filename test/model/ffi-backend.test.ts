import { describe } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { type ConformanceSubject, runBackendConformance } from "../support/backend-conformance.ts";
import { DEMO_MODEL, llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();

/** `write` makes the model in a folder of its own, and returns its path. */
function subject(write: (folder: string) => string, tolerance: number): ConformanceSubject {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  const corruptPath = join(folder, "corrupt.gguf");
  writeFileSync(corruptPath, "GGUF but not really");
  return {
    backend: createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined }),
    modelPath: write(folder),
    corruptPath,
    tolerance,
    dispose: () => rmSync(folder, { recursive: true }),
  };
}

const random = (architecture: "llama" | "qwen2", type: "F32" | "Q4_0") => (folder: string) => {
  const path = join(folder, "model.gguf");
  makeModel({ path, architecture, type, seed: 11 });
  return path;
};

describe.if(libraryDir !== null)("the FFI backend", () => {
  runBackendConformance("llama.cpp with the demo model", () => subject(() => DEMO_MODEL, 0.1));
  runBackendConformance("llama.cpp with a random llama F32", () =>
    subject(random("llama", "F32"), 1e-3),
  );
  runBackendConformance("llama.cpp with a random qwen2 Q4_0", () =>
    subject(random("qwen2", "Q4_0"), 0.3),
  );
});
