import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  ARCHITECTURES,
  type Architecture,
  isEncoder,
} from "../../scripts/make-model/architectures.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { Backend, ModelContext } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { tempFolder } from "../support/temp-folder.ts";

const libraryDir = llamaLibraries();
const GENERATING = ARCHITECTURES.filter((architecture) => !isEncoder(architecture));
const TOKENS = Int32Array.from({ length: 40 }, (_, index) => 40 + index);
const CONTEXT = 256;
/** Instead of a number of the state: below zero, none, very many, more than the context holds. */
const HOSTILE = [0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 0x0fff_ffff, CONTEXT, 0];
/** Where the numbers of a state are. */
const MOST_NUMBERS = 400;

describe.if(libraryDir !== null)("states that somebody made up, in llama.cpp", () => {
  let folder: ReturnType<typeof tempFolder>;
  let backend: Backend;

  beforeAll(() => {
    folder = tempFolder();
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
  });

  afterAll(() => folder[Symbol.dispose]());

  function withContext(
    architecture: Architecture,
    body: (context: ModelContext) => void,
    flashAttention: "on" | "off" = "on",
  ): void {
    const path = join(folder.path, `${architecture}.gguf`);
    makeModel({ path, architecture, type: "F32", seed: 5, shape: { layers: 4 } });
    const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
    const model = backend.loadModel(file, () => undefined);
    const context = model.createContext({
      threads: 1,
      flashAttention,
      kvTypeK: "f32",
      kvTypeV: "f32",
      purpose: "generate",
      contextLength: CONTEXT,
      sequences: 4,
      batchCapacity: 64,
    });
    try {
      for (const [position, token] of TOKENS.entries()) {
        context.batch.add(token, position, 0, false);
      }
      context.decode();
      body(context);
    } finally {
      context.dispose();
      model.dispose();
    }
  }

  /** Values are stored in another order without flash attention. */
  const OWN = GENERATING.flatMap((architecture) =>
    (["on", "off"] as const).map((flash) => ({ architecture, flash })),
  );

  test.each(OWN)("$architecture takes its own, flash attention $flash", (each) => {
    const { architecture, flash } = each;
    withContext(
      architecture,
      (context) => {
        expect(context.restoreSequence(1, context.saveSequence(0).slice())).toBe(true);
        expect(context.lastPosition(1)).toBe(TOKENS.length - 1);
      },
      flash,
    );
  });

  /** States with one small number replaced, of those at the beginning and throughout. */
  function* hostile(state: Uint8Array): Generator<Uint8Array> {
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
    const offsets: number[] = [];
    for (let at = 0; at + 4 <= state.length && offsets.length < MOST_NUMBERS; at += 4) {
      const number = view.getUint32(at, true);
      if (number > 0 && number < 2 * CONTEXT) offsets.push(at);
    }
    for (const at of offsets) {
      for (const number of HOSTILE) {
        const forged = state.slice();
        new DataView(forged.buffer).setUint32(at, number, true);
        yield forged;
      }
    }
  }

  test.each(["llama", "gemma3", "mamba", "lfm2"] as const)(
    "%s takes them as they are or leaves its sequence empty",
    (architecture) => {
      withContext(architecture, (context) => {
        const state = context.saveSequence(0).slice();
        let refused = 0;
        for (const forged of hostile(state)) {
          if (!context.restoreSequence(1, forged)) refused++;
          else context.removeSequence(1, 0, -1);
          expect(context.lastPosition(1)).toBe(-1);
        }
        expect(refused).toBeGreaterThan(10);
        expect(context.restoreSequence(1, state)).toBe(true);
        expect(context.lastPosition(1)).toBe(TOKENS.length - 1);
      });
    },
  );

  test("pieces are taken as they are or change nothing", () => {
    withContext("llama", (context) => {
      const state = context.saveRange(0, 0, 16, 3).slice();
      let refused = 0;
      for (const forged of hostile(state)) {
        if (!context.restoreRange(1, 16, forged, 3)) refused++;
        else context.removeSequence(1, 0, -1);
        expect([context.lastPosition(1), context.lastPosition(3)]).toEqual([-1, -1]);
      }
      expect(refused).toBeGreaterThan(10);
      expect(context.restoreRange(1, 16, state, 3)).toBe(true);
    });
  });
});
