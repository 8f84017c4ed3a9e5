import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { assert, defined } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { EngineStatus, LoadedModelInfo } from "../protocol/events.ts";
import type { Deadline } from "./deadline.ts";
import { NOTHING, type Demand } from "./demand.ts";
import type { EngineEnd } from "./engine-end.ts";
import type { EngineProcess } from "./engine-process.ts";
import { IdleTimer } from "./idle-timer.ts";
import { statusOf } from "./instance-status.ts";
import { EngineLease } from "./lease.ts";
import { type End, Leaving } from "./leaving.ts";
import { refuseWhenFull, stillLoading, UNWANTED_LOAD_MS } from "./load-refusals.ts";
import type { InstanceState, InstanceStatus, Lease, LoadDefaults } from "./pool.ts";
import { holds, settingsInEffect } from "./settings-in-effect.ts";

export interface InstanceOptions {
  identifier: string;
  model: CatalogModel;
  /** Loaded by a request: may be evicted, and is forgotten when its engine ends. */
  jit: boolean;
  ttlMs: number | null;
  settings: LoadDefaults;
  maxQueue: number;
  clock: Clock;
  /** Makes room and starts an engine. Rejects with an LmError; `signal` gives up the room. */
  start: (instance: ModelInstance, signal: AbortSignal) => Promise<EngineProcess>;
  /** The engine ended in a way nobody asked for, or did not load. */
  onFailure: (instance: ModelInstance, end: EngineEnd) => void;
  /** The instance holds nothing any more and is to be forgotten. */
  onGone: (instance: ModelInstance) => void;
}

/**
 * One instance of a model: at most one engine at a time, loaded once however many wait, used by
 * counted leases, and ended only when nobody uses it unless forced.
 */
export class ModelInstance {
  readonly identifier: string;
  readonly model: CatalogModel;
  /** What the loaded model is expected to need; NOTHING = not admitted. */
  demand: Demand = NOTHING;
  readonly #options: InstanceOptions;
  #jit: boolean;
  #ttlMs: number | null;
  #engine: EngineProcess | null = null;
  #loading: Promise<EngineProcess> | null = null;
  /** What became of the last engine while there is none. */
  #lastEnd: "crashed" | "failed" | null = null;
  #wasReady = false;
  #users = 0;
  #waiters = 0;
  #lastUsedMs: number;
  readonly #leaving = new Leaving();
  readonly #admission = new AbortController();
  readonly #ttl: IdleTimer;
  readonly #unwanted: IdleTimer;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.identifier = options.identifier;
    this.model = options.model;
    this.#jit = options.jit;
    this.#ttlMs = options.ttlMs;
    this.#lastUsedMs = options.clock.now();
    this.#ttl = new IdleTimer(options.clock, () => {
      if (this.isIdle) void this.drain("unloaded", unloaded(this.model));
    });
    this.#unwanted = new IdleTimer(options.clock, () => this.#withdrawUnwanted());
  }

  get jit(): boolean {
    return this.#jit;
  }

  get ttlMs(): number | null {
    return this.#ttlMs;
  }

  get settings(): LoadDefaults {
    return this.#options.settings;
  }

  get engine(): EngineProcess | null {
    return this.#engine;
  }

  get lastUsedMs(): number {
    return this.#lastUsedMs;
  }

  /** Nobody holds it or waits for it, and it is not being loaded. */
  get isIdle(): boolean {
    return this.#users === 0 && this.#loading === null;
  }

  /** Somebody holds or waits for it. */
  get isWanted(): boolean {
    return this.#users > 0 || this.#waiters > 0;
  }

  /** It is being ended: new requests wait until that is `decided`, and load anew. */
  get isEnding(): boolean {
    return this.#leaving.isEnding;
  }

  get isReady(): boolean {
    return this.#engine?.stage === "ready";
  }

  /** Tokens; null while nobody knows, since it is not loaded. */
  get contextLength(): number | null {
    return this.isReady ? (this.#engine?.info?.contextLength ?? null) : null;
  }

  get gone(): Promise<void> {
    return this.#leaving.gone;
  }

  /** Of one that is ending: it is gone, or stays after all. */
  get decided(): Promise<void> {
    return this.#leaving.decided;
  }

  get state(): InstanceState {
    const stage = this.#engine?.stage ?? this.#lastEnd ?? "starting";
    if (stage === "stopping" || stage === "stopped") return "stopping";
    if (!this.isEnding || stage === "crashed" || stage === "failed") return stage;
    return this.isIdle || this.#leaving.stopError !== null ? "stopping" : "draining";
  }

  /** @throws LmError when it cannot be loaded, or not by then; the signal's reason when aborted. */
  async lease(deadline: Deadline): Promise<Lease> {
    this.#refuseWhenFull();
    this.#use();
    try {
      const engine = await this.#readyEngine(deadline);
      const info = defined(engine.info, "a ready engine has told its facts");
      return this.#newLease(engine, info);
    } catch (error) {
      this.#unuse();
      throw error;
    }
  }

  /** Waits for the load under way, without the right to use what it brings. @throws as `lease`. */
  async loaded(deadline: Deadline): Promise<void> {
    this.#refuseWhenFull();
    await this.#readyEngine(deadline);
  }

  /** Whether a load with these settings would bring the same. */
  isLoadedAs(asked: Partial<LoadDefaults>): boolean {
    return holds(this.#effectiveSettings, asked);
  }

  /** Whether it answers as the other does. */
  isLoadedLike(other: ModelInstance): boolean {
    return Bun.deepEquals(this.#effectiveSettings, other.#effectiveSettings);
  }

  get #effectiveSettings(): LoadDefaults {
    return settingsInEffect(this.settings, this.contextLength);
  }

  /** An explicit load of what a request loaded: it stays now. */
  pin(ttlMs: number | null): void {
    this.#jit = false;
    this.#ttlMs = ttlMs;
    if (this.isIdle) this.#armTtl();
  }

  /** The load on purpose was given up: it stays no longer than what requests load. */
  unpin(ttlMs: number | null): void {
    this.#jit = true;
    this.#ttlMs = ttlMs;
    this.#withdrawUnwanted();
    if (this.isIdle) this.#armTtl();
  }

  /** Ends it when nobody uses it any more. Resolves when the process is gone. */
  async drain(reason: End["reason"], error: LmError): Promise<void> {
    this.#leaving.endFor({ reason, error });
    if (this.isIdle) this.#finish();
    await this.gone;
  }

  /**
   * Ends it as `drain` does, unless all who wait for its memory do without before. Resolves when
   * its memory is free.
   */
  makeWayFor(claimant: ModelInstance): Promise<void> {
    const freed = this.#leaving.claim(claimant);
    if (this.isIdle) this.#finish();
    return freed;
  }

  /** `claimant` does not wait for its memory any more. */
  stayFor(claimant: ModelInstance): void {
    this.#leaving.unclaim(claimant);
  }

  /** Ends it now; its jobs and waiters fail with `error`. */
  async stop(reason: End["reason"], error: LmError): Promise<void> {
    this.#leaving.stopFor({ reason, error });
    this.#ttl.stop();
    this.#admission.abort(error);
    if (this.#engine === null && this.#loading === null) this.#settle();
    await this.#engine?.stop(reason, error);
    await this.gone;
  }

  /** null while there is no engine that is ready. */
  async inspect(signal: AbortSignal): Promise<EngineStatus | null> {
    const engine = this.#engine;
    if (engine?.stage !== "ready") return null;
    for await (const event of engine.run({ type: "inspect" }, signal)) {
      if (event.type === "inspected") return event.status;
    }
    return null;
  }

  status(history: { starts: number; crashes: number }): InstanceStatus {
    return { ...statusOf(this, this.#waiters), ...history };
  }

  async #readyEngine(deadline: Deadline): Promise<EngineProcess> {
    if (this.#engine?.stage === "ready") return this.#engine;
    this.#loading ??= this.#load();
    this.#waiters += 1;
    try {
      return await deadline.wait(this.#loading, () => stillLoading(this.model));
    } finally {
      this.#waiters -= 1;
      // Who waited too long was told to come back, and finds the load going on for a while.
      if (deadline.signal.aborted) this.#withdrawUnwanted();
      else this.#unwanted.arm(this.#isUnwanted ? UNWANTED_LOAD_MS : null);
    }
  }

  /** It is a request's load, and nobody waits for it any more. */
  get #isUnwanted(): boolean {
    return this.#jit && this.#waiters === 0 && this.#loading !== null;
  }

  /** A load that nobody wants evicts nobody, and takes neither memory nor time. */
  #withdrawUnwanted(): void {
    if (this.#isUnwanted) void this.stop("unloaded", unloaded(this.model));
  }

  /** The one load that every waiter shares. */
  async #load(): Promise<EngineProcess> {
    try {
      // The engine before this one may still be dying.
      await this.#engine?.ended;
      this.#leaving.giveUpMemory();
      this.#throwIfStopped();
      const engine = await this.#options.start(this, this.#admission.signal);
      this.#engine = engine;
      void engine.ended.then((end) => this.#engineEnded(engine, end));
      const { stopError } = this.#leaving;
      if (stopError !== null) await engine.stop("unloaded", stopError);
      this.#throwIfStopped();
      await engine.ready;
      this.#wasReady = true;
      return engine;
    } catch (error) {
      await this.#engine?.ended;
      throw error;
    } finally {
      this.#loading = null;
      this.#unwanted.stop();
      if (this.#engine === null) this.#settle();
      if (this.#users === 0) this.#becomeIdle();
    }
  }

  #throwIfStopped(): void {
    const { stopError } = this.#leaving;
    if (stopError !== null) throw stopError;
  }

  #engineEnded(engine: EngineProcess, end: EngineEnd): void {
    assert(this.#engine === engine, "one engine at a time");
    this.#engine = null;
    this.#lastEnd = end.stage === "stopped" ? null : end.stage;
    this.demand = NOTHING;
    this.#ttl.stop();
    if (end.stage !== "stopped") this.#options.onFailure(this, end);
    if (this.#loading === null) this.#settle();
  }

  /** Without an engine only an instance loaded on purpose stays known, to be started again. */
  #settle(): void {
    const stays = !this.#jit && this.#wasReady && this.#lastEnd !== null && !this.isEnding;
    if (stays) return;
    this.#unwanted.stop();
    this.#leaving.settle();
    this.#options.onGone(this);
  }

  #newLease(engine: EngineProcess, info: LoadedModelInfo): Lease {
    const { identifier, model } = this;
    const onRelease = () => this.#unuse();
    return new EngineLease({ identifier, model, info, engine, onRelease });
  }

  #use(): void {
    this.#users += 1;
  }

  #unuse(): void {
    this.#users -= 1;
    assert(this.#users >= 0, "a lease was released twice");
    this.#lastUsedMs = this.#options.clock.now();
    if (this.isIdle) this.#becomeIdle();
  }

  #becomeIdle(): void {
    if (this.isEnding) this.#finish();
    else this.#armTtl();
  }

  #armTtl(): void {
    const mayEnd = !this.isEnding && this.#engine !== null;
    this.#ttl.arm(mayEnd ? this.#ttlMs : null);
  }

  /** Ends it, for good: it is ending and nobody uses it. */
  #finish(): void {
    const { reason, error } = this.#leaving.endFor({
      reason: "unloaded",
      error: unloaded(this.model),
    });
    this.#ttl.stop();
    if (this.#engine === null) this.#settle();
    else void this.#engine.stop(reason, error);
  }

  #refuseWhenFull(): void {
    refuseWhenFull(this.#waiters, this.settings.parallel, this.#options.maxQueue);
  }
}

export function unloaded(model: CatalogModel): LmError {
  return new LmError("model_unloaded", { model: model.key }, `Model "${model.key}" was unloaded.`);
}
