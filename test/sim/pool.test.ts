import { expect, test } from "bun:test";
import type { CatalogModel } from "../../src/catalog/model.ts";
import { LmError } from "../../src/lib/errors.ts";
import { estimateMemory } from "../../src/pool/fit.ts";
import { instanceLifecycle, lifecycleOf, type Lifecycle } from "../../src/pool/lifecycle.ts";
import { LIFECYCLE } from "../support/lifecycle.ts";
import { ModelPool } from "../../src/pool/model-pool.ts";
import { silentLog } from "../../src/lib/log.ts";
import type { Command } from "../../src/protocol/commands.ts";
import type { JobEvent } from "../../src/protocol/events.ts";
import { doneEvents, fakeSpawner, type FakeChannel } from "../support/fake-channel.ts";
import { ManualClock } from "../support/manual-clock.ts";
import {
  BUILD_ID,
  LOAD_DEFAULTS,
  scriptedJob,
  scriptedModel,
  textOf,
} from "../support/pool-fixture.ts";

const SEEDS = Number(process.env["LMSERVER_SIM_SEEDS"] ?? 60);
const FIRST_SEED = Number(process.env["LMSERVER_SIM_SEED"] ?? 1);
const FAULT_TICKS = 400;
const CALM_TICKS = 800;
const TICK_MS = 50;
const TTL_MS = 3_000;
const MIB = 2 ** 20;

/** Failures that faults of engines, limits and unloads may cause. Anything else is a bug. */
const EXPECTED: ReadonlySet<string> = new Set([
  "engine_crashed",
  "engine_unstable",
  "model_load_failed",
  "model_unloaded",
  "queue_full",
  "insufficient_memory",
]);

type Random = (limit: number) => number;

function randomOf(seed: number): Random {
  let state = seed * 2_654_435_761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** A fake engine that loads, streams and cancels by itself, one step per tick, and may fail. */
class SimEngine {
  readonly channel: FakeChannel;
  readonly jobs = new Map<number, number>();
  modelPath = "";
  #state: "hello" | "waiting" | "loading" | "ready" = "hello";
  #wasAskedToEnd = false;
  readonly #random: Random;
  readonly #faults: () => boolean;
  readonly #onEnding: (engine: SimEngine) => void;
  readonly #cancelled: number[] = [];
  /** Ticks that it is still there after it was killed. */
  #lingers: number;

  constructor(
    channel: FakeChannel,
    random: Random,
    faults: () => boolean,
    onEnding: (engine: SimEngine) => void,
  ) {
    this.channel = channel;
    this.#onEnding = onEnding;
    this.#random = random;
    this.#faults = faults;
    this.#lingers = random(3) * 10;
    channel.isUnkillable = this.#lingers > 0;
    channel.onCommand = (command) => this.#take(command);
  }

  get isLive(): boolean {
    return !this.channel.isGone;
  }

  tick(): void {
    if (!this.isLive) return;
    if (this.channel.signals.length > 0) return this.#linger();
    if (this.#wasAskedToEnd) return this.channel.end(0);
    if (this.#faults() && this.#random(150) === 0) return this.#misbehave();
    if (this.#state === "hello") {
      this.#state = "waiting";
      return this.channel.hello();
    }
    if (this.#state === "loading" && this.#random(4) === 0) {
      this.#state = "ready";
      return this.channel.ready();
    }
    if (this.#state === "ready" && this.jobs.size + this.#cancelled.length > 0) this.#step();
  }

  #linger(): void {
    this.#lingers -= 1;
    if (this.#lingers === 0) this.channel.end(null, "SIGKILL");
  }

  #step(): void {
    const events = this.#cancelled
      .splice(0)
      .map((jobId) => ({ type: "cancelled", jobId, stage: "decode", step: 0 }) as const);
    const streamed = [...this.jobs].slice(0, 4).flatMap(([jobId, left]): JobEvent[] => {
      if (left === 0) {
        this.jobs.delete(jobId);
        return doneEvents(jobId);
      }
      this.jobs.set(jobId, left - 1);
      return [{ type: "text", jobId, choice: 0, text: "x", tokens: 1 }];
    });
    this.channel.step([...events, ...streamed]);
  }

  #misbehave(): void {
    const kind = this.#random(4);
    if (kind === 0) this.channel.end(null, "SIGSEGV");
    else if (kind === 1) this.channel.say({ type: "wobble" });
    else if (kind === 2) this.channel.disconnect();
    else if (this.#state === "loading") this.channel.refuse("wobble");
    else this.channel.end(3);
  }

  #take(command: Command): void {
    if (command.type === "load") {
      this.modelPath = command.options.modelPath;
      this.#state = "loading";
    } else if (command.type === "generate") {
      const { prompt } = command.job;
      this.jobs.set(command.jobId, prompt.kind === "text" ? tokensOf(prompt.text) : 0);
    } else if (command.type === "cancel") {
      if (this.jobs.delete(command.jobId)) this.#cancelled.push(command.jobId);
    } else if (command.type === "shutdown") {
      this.#wasAskedToEnd = true;
      this.#onEnding(this);
    }
  }
}

function tokensOf(script: string): number {
  return (JSON.parse(script) as { tokens: number }).tokens;
}

class Simulation {
  readonly clock = new ManualClock();
  readonly engines: SimEngine[] = [];
  readonly pool: ModelPool;
  readonly ends: string[] = [];
  readonly limitBytes: number;
  opened = 0;
  /** Engines that were ended although they had jobs. */
  readonly interrupted: string[] = [];
  readonly #forced = new Set<string>();
  /** By process. */
  readonly #lifecycles = new Map<number, Lifecycle>();
  readonly seen = new Set<Lifecycle>();
  readonly #loading = new Set<string>();
  #hasFaults = true;
  readonly #keepsLastJit: boolean;
  /** Since when each instance is idle, by its process. */
  readonly #idleSince = new Map<number, number>();
  readonly #random: Random;
  readonly #models = ["a", "b", "c", "d"].map((name, n) =>
    scriptedModel({ name }, { sizeBytes: (n + 1) * 100 * MIB }),
  );

  constructor(seed: number) {
    this.#random = randomOf(seed);
    const { spawn } = fakeSpawner((channel) =>
      this.engines.push(
        new SimEngine(
          channel,
          this.#random,
          () => this.#hasFaults,
          (engine) => this.#ending(engine),
        ),
      ),
    );
    this.#keepsLastJit = this.#random(2) === 0;
    this.limitBytes = (600 + this.#random(600)) * MIB;
    this.pool = new ModelPool({
      engine: { command: [], buildId: BUILD_ID },
      load: { ...LOAD_DEFAULTS, parallel: 2 },
      maxQueue: 4,
      ttlMs: TTL_MS,
      keepLastJit: this.#keepsLastJit,
      memoryLimitBytes: this.limitBytes,
      clock: this.clock,
      log: silentLog,
      spawn,
      availableBytes: () => null,
    });
  }

  async run(): Promise<void> {
    for (let tick = 0; tick < FAULT_TICKS; tick += 1) {
      if (this.#random(3) === 0) this.#arrive();
      await this.#settle();
      if (this.#random(40) === 0) this.#unload();
      await this.#settle();
      if (this.#random(80) === 0) this.#load();
      await this.#tick();
    }
    this.#hasFaults = false;
    for (let tick = 0; tick < CALM_TICKS && this.ends.length < this.opened; tick += 1) {
      await this.#tick();
    }
    // Long enough for every idle model to be unloaded, and for its process to end.
    for (let tick = 0; tick < TTL_MS / TICK_MS + 60; tick += 1) await this.#tick();
  }

  async closed(): Promise<void> {
    const closing = this.pool.close(0);
    for (let tick = 0; tick < 200; tick += 1) {
      if (Bun.peek.status(closing) !== "pending") break;
      await this.#tick();
    }
    await closing;
  }

  async #tick(): Promise<void> {
    this.clock.advance(TICK_MS);
    await this.#settle();
    for (const engine of this.engines.filter(({ isLive }) => isLive)) {
      engine.tick();
      await this.#settle();
    }
    this.#check();
  }

  /** Lets everything happen that follows from the last event. */
  async #settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    for (const model of this.#models) this.#checkLifecycle(model);
  }

  #arrive(): void {
    const model = this.#models[this.#random(4)] ?? this.#models[0];
    if (model === undefined) throw new Error("there are models");
    const abort = new AbortController();
    const tokens = this.#random(8);
    if (this.#random(4) === 0) {
      this.clock.after(this.#random(1_500), () => abort.abort(new Error("left")));
    }
    this.opened += 1;
    const request = async () => {
      const lease = await this.pool.acquire(model, abort.signal);
      try {
        const job = scriptedJob({ op: "count", tokens });
        const text = await textOf(lease.generate(job, abort.signal));
        return text === "x".repeat(tokens) ? "whole" : `cut: ${text} of ${tokens}`;
      } finally {
        lease.release();
      }
    };
    void request().then(
      (end) => this.ends.push(end),
      (error: unknown) => this.ends.push(error instanceof LmError ? error.code : String(error)),
    );
  }

  /** An explicit load: at most one per model, so that each file has one engine. */
  #load(): void {
    const model = this.#models[this.#random(4)];
    const isHeld = this.pool
      .instances()
      .some((instance) => instance.model.key === model?.key && !instance.jit);
    if (model === undefined || isHeld || this.#loading.has(model.key)) return;
    this.#loading.add(model.key);
    const ttlMs = this.#random(2) === 0 ? null : 1_000;
    this.opened += 1;
    const abort = new AbortController();
    // What becomes one of requests by this replaces no other.
    if (!this.#keepsLastJit && this.#random(3) === 0) {
      this.clock.after(this.#random(1_000), () => abort.abort(new Error("left")));
    }
    void this.pool
      .load(model, { ttlMs }, abort.signal)
      .then(
        () => this.ends.push("loaded"),
        (error: unknown) => this.ends.push(error instanceof LmError ? error.code : String(error)),
      )
      .finally(() => this.#loading.delete(model.key));
  }

  #unload(): void {
    const instances = this.pool.instances();
    const instance = instances[this.#random(instances.length)];
    if (instance === undefined) return;
    const force = this.#random(2) === 0;
    if (force) this.#forced.add(instance.model.path);
    void this.pool.unload(instance.identifier, { force });
  }

  #ending(engine: SimEngine): void {
    const isForced = this.#forced.delete(engine.modelPath);
    if (engine.jobs.size > 0 && !isForced) this.interrupted.push(engine.modelPath);
  }

  #check(): void {
    const live = this.engines.filter((engine) => engine.isLive && engine.modelPath !== "");
    const paths = live.map((engine) => engine.modelPath);
    if (new Set(paths).size !== paths.length) throw new Error(`loaded twice: ${paths.join()}`);
    const bytes = live.reduce((sum, engine) => sum + this.#bytesOf(engine.modelPath), 0);
    if (bytes > this.limitBytes) throw new Error(`${bytes} of ${this.limitBytes} bytes`);
    for (const { state, queued, running } of this.pool.instances()) {
      if (running + queued > 2 * (2 + 4)) throw new Error(`${state}: ${running} + ${queued}`);
    }
    this.#checkJit();
  }

  /** What is in memory goes the way that is drawn, and never back. */
  #checkLifecycle(model: CatalogModel): void {
    const instances = this.pool.instances().filter((instance) => instance.model === model);
    const isCoolingDown = this.pool.cooldown(model) !== null;
    this.seen.add(lifecycleOf({ isOnDisk: true, downloads: [], instances, isCoolingDown }));
    for (const instance of instances) {
      if (instance.pid === null) continue;
      const now = instanceLifecycle(instance);
      const before = this.#lifecycles.get(instance.pid) ?? "loading";
      if (now !== before && !LIFECYCLE[before].includes(now))
        throw new Error(`${model.key} went from ${before} to ${now}`);
      this.#lifecycles.set(instance.pid, now);
    }
  }

  /** Models loaded by requests leave in time, and where one replaces the other there is one. */
  #checkJit(): void {
    const jit = this.pool.instances().filter((instance) => instance.jit && instance.pid !== null);
    if (this.#keepsLastJit && jit.length > 1) throw new Error(`${jit.length} models of requests`);
    const nowMs = this.clock.now();
    const idle = jit.filter(
      ({ state, running, queued }) => state === "ready" && running + queued === 0,
    );
    for (const { pid, lastUsedMs, ttlMs, identifier } of idle) {
      const sinceMs = Math.max(this.#idleSince.get(pid ?? 0) ?? nowMs, lastUsedMs);
      this.#idleSince.set(pid ?? 0, sinceMs);
      if (nowMs - sinceMs > (ttlMs ?? Infinity)) throw new Error(`${identifier} outlived its TTL`);
    }
    for (const pid of this.#idleSince.keys()) {
      if (!idle.some((instance) => instance.pid === pid)) this.#idleSince.delete(pid);
    }
  }

  #bytesOf(path: string): number {
    const model = this.#models.find((candidate) => candidate.path === path);
    if (model === undefined) throw new Error(`unknown model ${path}`);
    const fit = {
      ...LOAD_DEFAULTS,
      threads: 1,
      contextLength: 1_024,
      purpose: "generate",
    } as const;
    return estimateMemory(model, fit).totalBytes;
  }
}

function counts(ends: readonly string[]): Record<string, number> {
  const table: Record<string, number> = {};
  for (const end of ends) table[end] = (table[end] ?? 0) + 1;
  return table;
}

test(`random arrivals, cancels, unloads and crashes: every request ends once, memory holds (${SEEDS} seeds)`, async () => {
  const total: string[] = [];
  const seen = new Set<Lifecycle>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    const simulation = new Simulation(seed);
    await simulation.run();
    const { ends, opened } = simulation;
    if (ends.length !== opened) throw new Error(`seed ${seed}: ${ends.length} of ${opened} ended`);
    const odd = ends.filter(
      (end) => end !== "whole" && end !== "loaded" && end !== "Error: left" && !EXPECTED.has(end),
    );
    if (odd.length > 0) throw new Error(`seed ${seed}: ${odd.join("; ")}`);
    expect([seed, simulation.pool.instances().filter(({ jit }) => jit)]).toEqual([seed, []]);
    for (const instance of simulation.pool.instances()) {
      expect([seed, instance.running, instance.queued]).toEqual([seed, 0, 0]);
    }
    await simulation.closed();
    expect([seed, simulation.engines.filter((engine) => engine.isLive).length]).toEqual([seed, 0]);
    expect([seed, simulation.pool.instances().length]).toEqual([seed, 0]);
    expect([seed, simulation.interrupted]).toEqual([seed, []]);
    total.push(...ends);
    for (const state of simulation.seen) seen.add(state);
  }
  const inMemory = ["on-disk", "loading", "loaded", "draining", "unloading", "failed"] as const;
  expect([...seen].toSorted()).toEqual([...inMemory].toSorted());
  const table = counts(total);
  // A simulation in which little happens proves little.
  expect(table["whole"]).toBeGreaterThan(SEEDS * 20);
  for (const code of ["loaded", ...EXPECTED])
    expect([code, (table[code] ?? 0) > 0]).toEqual([code, true]);
}, 120_000);
