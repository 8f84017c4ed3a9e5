import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel, type MakeModelOptions } from "../../scripts/make-model/make-model.ts";
import { AssertionError } from "../../src/lib/assert.ts";
import { hasCode } from "../../src/lib/errors.ts";
import type { ContextOptions, Model, ModelContext } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { readSystemInfo } from "../../src/llama/system-info.ts";
import { DEFAULT_SAMPLING } from "../../src/protocol/sampling.ts";
import { addTokens, cosine, generate, spell } from "../support/backend-driver.ts";
import { DEMO_MODEL, llamaLibraries } from "../support/llama-libraries.ts";
import { sharedPath } from "../support/shared.ts";

const libraryDir = llamaLibraries();
const OPTIONS: ContextOptions = {
  purpose: "generate",
  contextLength: 256,
  sequences: 4,
  batchCapacity: 256,
  threads: 1,
  kvTypeK: "f16",
  kvTypeV: "f16",
  flashAttention: "auto",
};
const GREEDY = { ...DEFAULT_SAMPLING, temperature: 0 };

describe.if(libraryDir !== null)("models in llama.cpp", () => {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  let written = 0;
  afterAll(() => rmSync(folder, { recursive: true }));

  const open = (path: string, gpuLayers: "off" | "auto" | "max" = "auto"): Model =>
    createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined }).loadModel(
      { path, gpuLayers, contextLength: null, mmap: true },
      () => undefined,
    );
  const make = (options: Omit<MakeModelOptions, "path">): string => {
    const path = join(folder, `${++written}.gguf`);
    makeModel({ path, ...options });
    return path;
  };
  const withModel = (path: string, body: (model: Model) => void): void => {
    const model = open(path);
    try {
      body(model);
    } finally {
      model.dispose();
    }
  };
  const withContext = (
    model: Model,
    options: Partial<ContextOptions>,
    body: (context: ModelContext) => void,
  ): void => {
    const context = model.createContext({ ...OPTIONS, ...options });
    try {
      body(context);
    } finally {
      context.dispose();
    }
  };
  const embed = (context: ModelContext, model: Model, texts: readonly string[]): Float32Array[] => {
    context.batch.clear();
    for (const [sequence, text] of texts.entries()) {
      addTokens(context, model.vocabulary.tokenize(text, true, false), sequence);
    }
    expect(context.decode()).toBe("ok");
    return texts.map((_, sequence) => context.embedding(sequence));
  };

  const types = ["F32", "F16", "Q8_0", "Q4_0"] as const;
  const decoders = types.flatMap((type) =>
    (["llama", "qwen2"] as const).map((architecture) => ({ architecture, type })),
  );
  const encoders = types.flatMap((type) =>
    (["bert", "nomic-bert"] as const).map((architecture) => ({ architecture, type })),
  );

  test.each(decoders)("$architecture $type is loaded and generates", ({ architecture, type }) => {
    withModel(make({ architecture, type, chatTemplate: "{{ messages }}" }), (model) => {
      const { facts } = model;
      expect([facts.architecture, facts.embeddingSize]).toEqual([architecture, 64]);
      expect([facts.hasDecoder, facts.hasEncoder, facts.isRecurrent]).toEqual([true, false, false]);
      expect(facts.gpuLayers).toBe(0);
      expect(model.metadata().get("tokenizer.chat_template")).toBe("{{ messages }}");
      withContext(model, {}, (context) => {
        expect(context.memory.kvBytes).toBeGreaterThan(0);
        expect(context.memory.computeBytes).toBeGreaterThan(0);
        const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
        const prompt = model.vocabulary.tokenize("Hello", false, false);
        expect(generate(model, context, sampler, prompt, 8).length).toBeGreaterThan(0);
        sampler.dispose();
      });
    });
  });

  test.each(encoders)("$architecture $type embeds many texts as it does one", (options) => {
    withModel(make(options), (model) => {
      expect(model.facts.trainContextLength).toBe(2048);
      withContext(model, { purpose: "embed" }, (context) => {
        const texts = ["a", "some words", "other words of another length", "😀"];
        const together = embed(context, model, texts);
        for (const [index, text] of texts.entries()) {
          const [alone] = embed(context, model, [text]);
          expect(cosine(alone!, together[index]!)).toBeGreaterThan(0.9999);
        }
        expect(cosine(together[1]!, together[2]!)).toBeLessThan(0.999);
        expect(context.removeSequence(0, 0, -1)).toBe(true);
        expect(context.lastPosition(0)).toBe(-1);
      });
    });
  });

  test("a position beyond an encoder's table is an assertion, not an abort", () => {
    withModel(make({ architecture: "bert", shape: { context: 64 } }), (model) => {
      withContext(model, { purpose: "embed" }, (context) => {
        expect(context.contextLength).toBe(64);
        expect(() => context.batch.add(0, 64, 0, true)).toThrow(AssertionError);
      });
    });
  });

  test("pooling is the model's own, and the mean where it names none", () => {
    const vectors = (["mean", "cls", "last", "none"] as const).map((pooling) => {
      const found: Float32Array[] = [];
      withModel(make({ architecture: "bert", pooling }), (model) =>
        withContext(model, { purpose: "embed" }, (context) => {
          found.push(...embed(context, model, ["some words"]));
        }),
      );
      return found[0]!;
    });
    const [mean, cls, last, none] = vectors;
    expect(cosine(mean!, cls!)).toBeLessThan(0.999);
    expect(cosine(mean!, last!)).toBeLessThan(0.999);
    expect(cosine(cls!, last!)).toBeLessThan(0.999);
    expect(cosine(mean!, none!)).toBeGreaterThan(0.9999);
  });

  test("the same seed writes the same file, another seed another", () => {
    const read = (seed: number) => Bun.hash(readFileSync(make({ type: "Q4_0", seed })));
    expect(read(5)).toBe(read(5));
    expect(read(6)).not.toBe(read(5));
  });

  test.each(["q8_0", "q4_0", "bf16", "f32"] as const)("a %s KV cache generates", (type) => {
    withModel(make({ shape: { embedding: 128 } }), (model) => {
      withContext(model, { kvTypeK: type, kvTypeV: type, flashAttention: "on" }, (context) => {
        const sampler = context.createSampler(GREEDY, 0, new Int32Array(0));
        const prompt = model.vocabulary.tokenize("Hello", false, false);
        expect(generate(model, context, sampler, prompt, 4).length).toBeGreaterThan(0);
        sampler.dispose();
      });
    });
  });

  test("a quantised V cache without flash attention is refused with llama.cpp's reason", () => {
    withModel(make({ shape: { embedding: 128 } }), (model) => {
      let error: unknown;
      try {
        model.createContext({ ...OPTIONS, kvTypeV: "q8_0", flashAttention: "off" }).dispose();
      } catch (caught) {
        error = caught;
      }
      expect(hasCode(error, "model_load_failed") && error.details.reason).toMatch(/flash/i);
    });
  });

  test.each(["llama-bpe", "llama-spm", "qwen2"])("the %s vocabulary works", (name) => {
    const vocabularyPath = sharedPath(`models/vocab-${name}.gguf`);
    if (vocabularyPath === null) return;
    const architecture = name === "qwen2" ? "qwen2" : "llama";
    withModel(make({ architecture, type: "Q8_0", vocabularyPath }), (model) => {
      const text = "Grüße, 世界! 😀 function f(x) { return x; }\n\n  done";
      const tokens = model.vocabulary.tokenize(text, false, false);
      expect(spell(model, tokens).trimStart()).toBe(text);
      const grammar = model.createGrammar('root ::= "<tool_call>{\\"é\\": " [0-9]{1,3} "}"');
      expect(grammar.acceptText('<tool_call>{"é": 1')).toBe(true);
      expect(grammar.acceptText("x")).toBe(false);
      withContext(model, {}, (context) => {
        const sampler = context.createSampler(GREEDY, 0, tokens);
        sampler.setGrammar(grammar);
        const generated = generate(model, context, sampler, tokens, 30);
        expect(spell(model, generated)).toMatch(/^\d{0,2}\}$/);
        sampler.dispose();
      });
    });
  });

  test("the WordPiece vocabulary of an embedding model works", () => {
    const vocabularyPath = sharedPath("models/vocab-bert-bge.gguf");
    if (vocabularyPath === null) return;
    withModel(make({ architecture: "bert", type: "F16", vocabularyPath }), (model) => {
      const tokens = model.vocabulary.tokenize("Hello world", true, false);
      expect(spell(model, tokens)).toStartWith("[CLS]");
      withContext(model, { purpose: "embed" }, (context) => {
        expect(embed(context, model, ["Hello world", "bye"])[0]).toHaveLength(64);
      });
    });
  });

  test("offload settings without a GPU compute on the processor", () => {
    const path = make({});
    for (const gpuLayers of ["off", "auto", "max"] as const) {
      const model = open(path, gpuLayers);
      expect(model.facts.devices).toContain("CPU");
      model.dispose();
    }
  });

  test("loading reports progress up to the end", () => {
    const fractions: number[] = [];
    const backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    const options = {
      path: DEMO_MODEL,
      gpuLayers: "off",
      contextLength: null,
      mmap: true,
    } as const;
    backend.loadModel(options, (fraction) => fractions.push(fraction)).dispose();
    expect(fractions.at(-1)).toBe(1);
  });

  test.each(["", "GGUF", "GGUF\u0003\0\0\0", "not a model at all"])(
    "a file that holds %j is refused with a reason",
    async (content) => {
      const path = join(folder, `${++written}.gguf`);
      await Bun.write(path, content);
      expect(() => open(path)).toThrow(/gguf/i);
    },
  );

  test("a truncated model is refused with a reason", async () => {
    const path = make({});
    const cut = join(folder, `${++written}.gguf`);
    await Bun.write(cut, readFileSync(path).subarray(0, 100_000));
    let error: unknown;
    try {
      open(cut).dispose();
    } catch (caught) {
      error = caught;
    }
    expect(hasCode(error, "invalid_file") && error.details.reason).toBeTruthy();
  });

  test("the system information names release, variant, devices and threads", () => {
    const info = readSystemInfo(libraryDir!);
    expect(info.release).toMatch(/^\d+\.\d+/);
    expect(info.backends.map((backend) => backend.name)).toContain("CPU");
    expect(info.cpuVariant).toBeTruthy();
    expect(info.devices[0]?.name).toBe("CPU");
    expect(info.threads).toBeGreaterThanOrEqual(1);
  });

  test("a folder without libraries is refused, and so is one that is not there", () => {
    for (const libraryFolder of [folder, join(folder, "nowhere")]) {
      let error: unknown;
      try {
        createFfiBackend({ libraryDir: libraryFolder, onLog: () => undefined });
      } catch (caught) {
        error = caught;
      }
      expect(hasCode(error, "engine_unavailable")).toBe(true);
    }
  });

  test("a failed assertion inside llama.cpp ends the process at once, with its reason", async () => {
    const source = `
      import { openLibrary } from ${JSON.stringify(join(import.meta.dir, "../../src/llama/library.ts"))};
      import { dlopen } from "bun:ffi";
      openLibrary(${JSON.stringify(libraryDir)});
      const base = ${JSON.stringify(libraryDir)} + "/libggml-base.so";
      const { symbols } = dlopen(base, { ggml_abort: { args: ["ptr", "i32", "ptr"], returns: "void" } });
      const text = (value) => new TextEncoder().encode(value + "\\0");
      symbols.ggml_abort(text("file.c"), 7, text("the reason"));`;
    const started = Bun.spawn([process.execPath, "-e", source], { stderr: "pipe" });
    const stderr = await new Response(started.stderr).text();
    await started.exited;
    expect(started.signalCode).toBe("SIGABRT");
    expect(stderr).toContain("file.c:7: the reason");
    expect(stderr).not.toMatch(/gdb|ptrace|#0|libggml-base.so\(/);
  });

  test("starts that happen at the same time succeed and leave nothing behind", async () => {
    const temporary = join(folder, "tmp");
    mkdirSync(temporary);
    const source = `
      import { readSystemInfo } from ${JSON.stringify(join(import.meta.dir, "../../src/llama/system-info.ts"))};
      console.log(readSystemInfo(${JSON.stringify(libraryDir)}).release);`;
    const starts = Array.from({ length: 4 }, () =>
      Bun.spawn([process.execPath, "-e", source], {
        env: { ...process.env, TMPDIR: temporary },
        stdout: "pipe",
        stderr: "inherit",
      }),
    );
    for (const start of starts) {
      expect(await new Response(start.stdout).text()).toMatch(/^\d/);
      expect(await start.exited).toBe(0);
    }
    expect(readdirSync(temporary)).toEqual([]);
  });
});
