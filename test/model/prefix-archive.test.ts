import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Architecture } from "../../scripts/make-model/architectures.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { MemoryBlocks } from "../../src/engine/archive/memory-blocks.ts";
import { openArchives } from "../../src/engine/archive/open-archive.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Backend, Model } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import type { GenerateJob, LoadOptions } from "../../src/protocol/commands.ts";
import type { EngineTrouble } from "../../src/protocol/events.ts";
import { engineHarness, job, type HarnessOptions } from "../support/engine-harness.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();
const endless = { sampling: { ...job("").sampling, ignoreEos: true } };
const PROMPT = "What is asked again and again. ".repeat(20);

/** Kinds of memory: one plain cache, a window, a recurrent state, both. */
const ARCHITECTURES = ["llama", "gemma3", "mamba", "lfm2"] as const satisfies Architecture[];

describe.if(libraryDir !== null)("prefixes outside the KV cache of llama.cpp", () => {
  let folder: string;
  let backend: Backend;
  const models = new Map<Architecture, { path: string; model: Model }>();

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
    backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    for (const architecture of ARCHITECTURES) {
      const path = join(folder, `${architecture}.gguf`);
      // F32 throughout: batches of another size must not turn the order of two logits.
      makeModel({ path, architecture, type: "F32", seed: 5, shape: { layers: 4 } });
      const file = { path, gpuLayers: "off", contextLength: null, mmap: true } as const;
      models.set(architecture, { path, model: backend.loadModel(file, () => undefined) });
    }
  });

  afterAll(() => {
    for (const { model } of models.values()) model.dispose();
    rmSync(folder, { recursive: true });
  });

  const modelOf = (architecture: Architecture) => {
    const found = models.get(architecture);
    if (found === undefined) throw new Error(`no model ${architecture}`);
    return found;
  };

  interface Run {
    architecture: Architecture;
    /** Folder of the archive; its parts are what a restart would find. */
    cache: string;
    over?: Partial<LoadOptions>;
    buildId?: string;
    options?: Partial<HarnessOptions>;
  }

  /** An engine as after a start, over the archive of earlier ones. */
  async function start(
    { architecture, cache, over = {}, buildId = "build", options = {} }: Run,
    use: (harness: ReturnType<typeof engineHarness>) => void,
  ): Promise<void> {
    const { path, model } = modelOf(architecture);
    const load = { ...loadOptions(path, cache), ...over };
    const shape = { contextLength: 2048, memory: { modelBytes: 0, kvBytes: 0, computeBytes: 0 } };
    const onTrouble = ({ reason }: EngineTrouble): void => {
      throw new Error(reason);
    };
    const { archive } = openArchives(load, model, shape, {
      buildId,
      clock: systemClock,
      onTrouble,
    });
    if (archive === null) throw new Error("there is no archive");
    const harness = engineHarness({
      model,
      kvType: "f32",
      contextLength: 2048,
      batchCapacity: 128,
      archive,
      ...options,
    });
    try {
      use(harness);
      await harness.engine.finish();
    } finally {
      harness.engine.disposeContexts();
    }
  }

  /** What a job says in an engine that never saw anything. */
  function fresh(architecture: Architecture, spec: GenerateJob): string {
    const { model } = modelOf(architecture);
    const harness = engineHarness({
      model,
      kvType: "f32",
      parallel: 1,
      sequences: 1,
      contextLength: 2048,
      batchCapacity: 128,
    });
    harness.engine.generate(1, { ...spec, cachePrompt: false });
    harness.settle();
    harness.engine.disposeContexts();
    return harness.text(1);
  }

  const ask = (text: string, fields: Partial<GenerateJob> = {}): GenerateJob =>
    job(text, { maxTokens: 24, ...endless, ...fields });

  test.each([...ARCHITECTURES])(
    "%s answers after a restart as if it had computed all",
    async (architecture) => {
      const cache = join(folder, `restart-${architecture}`);
      let answer = "";
      await start({ architecture, cache }, ({ engine, settle, text }) => {
        engine.generate(1, ask(PROMPT));
        settle();
        answer = text(1);
      });
      expect(answer).toBe(fresh(architecture, ask(PROMPT)));
      await start({ architecture, cache }, ({ engine, settle, text, find }) => {
        const next = ask(`${PROMPT}?`);
        engine.generate(1, ask(PROMPT));
        engine.generate(2, next);
        settle();
        expect(text(1)).toBe(answer);
        expect(text(2)).toBe(fresh(architecture, next));
        const { cachedTokens = 0, promptTokens = 0 } = find(1, "accepted") ?? {};
        // The state of the whole answer is of use to prompts that go on from there only.
        if (architecture === "llama") expect(cachedTokens).toBe(promptTokens - 1);
        else expect(cachedTokens).toBe(0);
      });
    },
  );

  test.each([...ARCHITECTURES])(
    "%s goes on with a conversation after a restart",
    async (architecture) => {
      const cache = join(folder, `goes-on-${architecture}`);
      const tokens = modelOf(architecture).model.vocabulary.tokenize(PROMPT, true, true);
      const first = ask("", { prompt: { kind: "tokens", tokens: [...tokens] }, logprobs: 0 });
      let all: number[] = [];
      await start({ architecture, cache }, ({ engine, settle, of }) => {
        engine.generate(1, first);
        settle();
        const told = of(1).flatMap((event) =>
          event.type === "text" ? (event.logprobs ?? []) : [],
        );
        all = [...tokens, ...told.map(({ id }) => id)];
      });
      const second = ask("", { prompt: { kind: "tokens", tokens: [...all, 32, 104, 105] } });
      await start({ architecture, cache }, ({ engine, settle, text, find }) => {
        engine.generate(1, second);
        settle();
        expect(text(1)).toBe(fresh(architecture, second));
        // The last sampled token was never computed.
        expect(find(1, "accepted")?.cachedTokens).toBeGreaterThanOrEqual(all.length - 9);
        expect(engine.generator?.cacheLoad.hits.archive).toBe(1);
      });
    },
  );

  test.each([...ARCHITECTURES])(
    "%s under pressure says what each request says alone",
    async (architecture) => {
      let random = 7;
      const next = (limit: number): number => {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        return (random >>> 8) % limit;
      };
      const specs = Array.from({ length: 40 }, (_, id) =>
        ask(`${"abcdef".charAt(next(6)).repeat(80 + next(40))} ${id % 5}`, {
          maxTokens: 1 + next(12),
        }),
      );
      const store = new MemoryBlocks(2 ** 26);
      const archive = { store, fingerprint: "", blockTokens: 32, leastTokens: 100 };
      const short = { ...archive, store: new MemoryBlocks(2 ** 26), blockTokens: 256 };
      const shortArchive = { ...short, leastTokens: 32 };
      const { model } = modelOf(architecture);
      const harness = engineHarness({
        model,
        kvType: "f32",
        parallel: 3,
        contextLength: 512,
        batchCapacity: 48,
        archive,
        shortArchive,
      });
      const { engine, settle, terminals, text } = harness;
      for (const [id, spec] of specs.entries()) {
        engine.generate(id, spec);
        for (let steps = next(8); steps > 0; steps--) engine.step();
        if (id % 4 === 3) settle();
      }
      settle();
      for (const [id, spec] of specs.entries()) {
        expect(terminals(id)).toMatchObject([{ type: "jobDone" }]);
        expect(text(id)).toBe(fresh(architecture, spec));
      }
      const { hits } = engine.generator?.cacheLoad ?? {};
      if (architecture === "llama") expect(hits?.archive).toBeGreaterThan(3);
      const held = harness.books();
      expect(held.sequences).toBe(held.stored);
      expect(held.pinnedCells).toBe(0);
      engine.disposeContexts();
    },
  );

  const STRANGERS: { name: string; run: Partial<Run> }[] = [
    { name: "another build", run: { buildId: "other" } },
    { name: "another type of keys", run: { over: { kvTypeK: "f16" } } },
    { name: "other rotary positions", run: { over: { ropeFreqBase: 5000 } } },
    { name: "other layers on the GPU", run: { over: { gpuLayers: "max" } } },
    { name: "another model", run: { architecture: "lfm2" } },
  ];

  test.each(STRANGERS)("$name finds nothing", async ({ name, run }) => {
    const cache = join(folder, `strangers-${name}`);
    const cached: (number | undefined)[] = [];
    const use = ({ engine, settle, find }: ReturnType<typeof engineHarness>): void => {
      engine.generate(1, ask(PROMPT));
      settle();
      cached.push(find(1, "accepted")?.cachedTokens);
    };
    await start({ architecture: "llama", cache }, use);
    await start({ architecture: "llama", cache, ...run }, use);
    await start({ architecture: "llama", cache }, use);
    expect([cached[0], cached[1]]).toEqual([0, 0]);
    expect(cached[2]).toBeGreaterThan(400);
  });

  test("a model file that was changed finds nothing", async () => {
    const cache = join(folder, "changed");
    const { path } = modelOf("llama");
    const cached: (number | undefined)[] = [];
    const use = ({ engine, settle, find }: ReturnType<typeof engineHarness>): void => {
      engine.generate(1, ask(PROMPT));
      settle();
      cached.push(find(1, "accepted")?.cachedTokens);
    };
    await start({ architecture: "llama", cache }, use);
    const { atime, mtime } = statSync(path);
    utimesSync(path, atime, new Date(mtime.getTime() + 5_000));
    await start({ architecture: "llama", cache }, use);
    utimesSync(path, atime, mtime);
    expect(cached).toEqual([0, 0]);
  });

  test("keys find what they stored themselves, on disk too", async () => {
    const cache = join(folder, "keys");
    const cached = async (cacheScope: string): Promise<number | undefined> => {
      let found: number | undefined;
      await start({ architecture: "llama", cache }, ({ engine, settle, find }) => {
        engine.generate(1, ask(PROMPT, { cacheScope }));
        settle();
        found = find(1, "accepted")?.cachedTokens;
      });
      return found;
    };
    const first = await cached("key-a");
    const others = [await cached("key-b"), await cached("")];
    const again = await cached("key-a");
    expect([first, ...others]).toEqual([0, 0, 0]);
    expect(again).toBeGreaterThan(400);
    const names = readdirSync(cache, { recursive: true }).map(String);
    const files = names.filter((name) => name.endsWith(".kv"));
    expect(files.length).toBeGreaterThan(5);
    for (const name of files) expect(statSync(join(cache, name)).mode & 0o777).toBe(0o600);
  });
});

function loadOptions(modelPath: string, cache: string): LoadOptions {
  return {
    modelPath,
    contextLength: 2048,
    parallel: 4,
    batchCapacity: 128,
    gpuLayers: "off",
    threads: 1,
    kvTypeK: "f32",
    kvTypeV: "f32",
    flashAttention: "auto",
    mmap: true,
    speculation: "auto",
    prefixCache: { folder: cache, diskBytes: 2 ** 30, memoryBytes: 0 },
    purpose: "generate",
  };
}
