import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import type { EngineLoad, EngineMessage, JobEvent, LoadedModelInfo } from "../protocol/events.ts";
import type { PoolCounters } from "./counters.ts";
import type { EngineChannel, EngineExit, SpawnEngine } from "./engine-channel.ts";
import { EngineJobs, isTerminal, type NewJob } from "./engine-jobs.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { advance, nextStage, type EngineInput, type EngineStage } from "./engine-machine.ts";
import { parseEngineMessage } from "./engine-messages.ts";
import { jobFailure } from "./job-failure.ts";
import { causeWords, exitWords, lastWords } from "./last-words.ts";
import type { EngineExitReason } from "./pool.ts";
import { StepTimes, Watchdog } from "./watchdog.ts";

export interface EngineProcessOptions {
  /** The model's key, for errors. */
  model: string;
  spawn: SpawnEngine;
  buildId: string;
  load: LoadOptions;
  maxQueue: number;
  limits: EngineLimits;
  clock: Clock;
  log: Log;
  counters: PoolCounters;
  /** Aborted when the server takes no new jobs; its reason is what they fail with. */
  closing: AbortSignal;
}

/** How an engine ended. `cause` is a clause such as "the engine was killed by SIGSEGV". */
export interface EngineEnd {
  stage: "failed" | "crashed" | "stopped";
  /** The engine itself refused the model, so that loading the same file again is pointless. */
  refused: boolean;
  cause: string;
}

/** A job's part of a decode over this many bytes of weights may take a millisecond. */
const SLOWEST_BYTES_PER_MS = 20_000;
const STEP_TIME_FACTOR = 20;
const ACK_EVERY = 64;
/** The channel of a dying process closes just before its exit is known. */
const EXIT_AFTER_DISCONNECT_MS = 200;
/** A killed process that the kernel cannot end is given up. */
const REAP_MS = 5_000;

/**
 * One engine process and its life. Every way it can end fails its own jobs and nothing else.
 * The states are those of engine-machine.ts.
 */
export class EngineProcess {
  readonly #options: EngineProcessOptions;
  readonly #channel: EngineChannel;
  readonly #jobs: EngineJobs;
  readonly #watchdog: Watchdog;
  readonly #stepTimes = new StepTimes();
  readonly #ready = Promise.withResolvers<LoadedModelInfo>();
  readonly #ended = Promise.withResolvers<EngineEnd>();
  #stage: EngineStage = "starting";
  #info: LoadedModelInfo | null = null;
  #load: EngineLoad | null = null;
  #fraction = 0;
  #lastSeq = 0;
  #ackedSeq = 0;
  #lastStepMs = 0;
  #end: EngineEnd | null = null;
  #exitReason: EngineExitReason = "crashed";
  #isGone = false;
  #timers: (() => void)[] = [];

  /** @throws LmError model_load_failed when the system does not start the process. */
  constructor(options: EngineProcessOptions) {
    const { model, load, maxQueue, limits, clock, counters } = options;
    this.#options = options;
    this.#ready.promise.catch(() => {
      // Nobody may be waiting; every failure is also told by `ended`.
    });
    this.#channel = this.#spawn();
    counters.engineStarts += 1;
    this.#jobs = new EngineJobs({
      model,
      parallel: load.parallel,
      maxQueue,
      limits,
      clock,
      counters,
      send: (command) => this.#channel.send(command),
    });
    this.#watchdog = new Watchdog(
      clock,
      () => this.#silenceLimitMs(),
      (stalledMs) => this.#stalled(stalledMs),
    );
    this.#watchdog.start();
  }

  get stage(): EngineStage {
    return this.#stage;
  }

  get pid(): number | null {
    return this.#isGone ? null : this.#channel.pid;
  }

  get info(): LoadedModelInfo | null {
    return this.#info;
  }

  get load(): EngineLoad | null {
    return this.#load;
  }

  /** Part of the weights read so far, 0 to 1. */
  get loadedFraction(): number {
    return this.#fraction;
  }

  get jobs(): { running: number; queued: number; unreadBytes: number } {
    const { running, queued, unreadBytes } = this.#jobs;
    return { running, queued, unreadBytes };
  }

  /** Rejects with an LmError when the model does not become ready. */
  get ready(): Promise<LoadedModelInfo> {
    return this.#ready.promise;
  }

  /** Resolves when the process is gone. */
  get ended(): Promise<EngineEnd> {
    return this.#ended.promise;
  }

  /**
   * Runs one job and yields its events; the last one is terminal. Leaving early cancels it.
   * @throws LmError; `signal.reason` when aborted.
   */
  async *run(command: NewJob, signal: AbortSignal): AsyncGenerator<JobEvent, void, void> {
    signal.throwIfAborted();
    this.#options.closing.throwIfAborted();
    if (this.#stage !== "ready") throw this.#goneError();
    const job = this.#jobs.open(command);
    this.#watchdog.start();
    const onAbort = () => this.#jobs.abandon(job, signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        const event = await job.events.next();
        if (event.type === "jobFailed") throw jobFailure(event, this.#options.model);
        yield event;
        if (isTerminal(event)) return;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#jobs.abandon(job, null);
    }
  }

  /** Ends every job that has no answer yet; those that run go on. */
  abandonWaiting(error: LmError): void {
    this.#jobs.abandonWaiting(error);
  }

  /**
   * Ends the process: a polite message, SIGTERM, SIGKILL; a model that is still loading is killed
   * at once, it has nothing to lose. Jobs fail with `error`. Resolves when the process is gone.
   */
  async stop(reason: "unloaded" | "shutdown", error: LmError): Promise<void> {
    const wasReady = this.#stage === "ready";
    if (nextStage(this.#stage, "stop") !== null) {
      this.#advance("stop");
      this.#exitReason = reason;
      this.#end = { stage: "stopped", refused: false, cause: `the engine was stopped (${reason})` };
      this.#watchdog.stop();
      this.#ready.reject(error);
      this.#jobs.failAll(error);
      const { log, model } = this.#options;
      log.info("model is being unloaded", { model, reason, pid: this.#channel.pid });
      if (wasReady) this.#stopPolitely();
      else this.#kill();
    }
    await this.ended;
  }

  #spawn(): EngineChannel {
    try {
      return this.#options.spawn({
        message: (value) => this.#receive(value),
        disconnected: () => this.#disconnected(),
        ended: (exit) => this.#exited(exit),
      });
    } catch (error) {
      const reason = `the engine process could not be started: ${lastWords(String(error))}`;
      throw this.#loadFailure(reason, error);
    }
  }

  #receive(value: unknown): void {
    if (this.#end !== null) return;
    const message = parseEngineMessage(value);
    if (message === null || message.seq <= this.#lastSeq) {
      this.#fault("sent a malformed message and was ended", "crashed");
      return;
    }
    this.#lastSeq = message.seq;
    this.#handle(message);
    if (this.#lastSeq - this.#ackedSeq >= ACK_EVERY) {
      this.#ackedSeq = this.#lastSeq;
      this.#channel.send({ type: "ack", upTo: this.#ackedSeq });
    }
  }

  #handle(message: EngineMessage): void {
    switch (message.type) {
      case "hello":
        return this.#hello(message.buildId);
      case "loading":
        this.#fraction = message.fraction;
        this.#watchdog.progress();
        return;
      case "ready":
        return this.#becomeReady(message.model);
      case "loadFailed":
        return this.#refuse(lastWords(message.reason));
      case "step":
        return this.#step(message);
    }
  }

  #hello(buildId: string): void {
    if (buildId !== this.#options.buildId) {
      const reason =
        "the engine that was started belongs to another build of lmserver; restart lmserver";
      return this.#refuse(reason);
    }
    if (!this.#accepts("hello")) return;
    this.#watchdog.progress();
    this.#channel.send({ type: "load", options: this.#options.load });
  }

  #becomeReady(info: LoadedModelInfo): void {
    if (!this.#accepts("ready")) return;
    this.#info = info;
    this.#fraction = 1;
    this.#watchdog.stop();
    this.#ready.resolve(info);
    const { log, model } = this.#options;
    const { contextLength } = info;
    const loadMs = Math.round(info.loadMs);
    log.info("model loaded", { model, contextLength, loadMs, pid: this.#channel.pid });
  }

  #step(message: Extract<EngineMessage, { type: "step" }>): void {
    if (this.#stage !== "ready") {
      this.#fault("sent a step before it was ready and was ended", "crashed");
      return;
    }
    const { events } = message;
    // What did not change is not said again.
    const load = { ...this.#load, ...message.load };
    const isProgress = events.length > 0 || load.step !== this.#load?.step;
    this.#load = load;
    this.#measureStep();
    this.#jobs.step(load.step, events, message.receivedJobId ?? 0);
    if (isProgress) this.#watchdog.progress();
    if (this.#jobs.count === 0) {
      this.#watchdog.stop();
      this.#lastStepMs = 0;
    }
  }

  #measureStep(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#lastStepMs > 0) this.#stepTimes.add(nowMs - this.#lastStepMs);
    this.#lastStepMs = nowMs;
  }

  #silenceLimitMs(): number {
    const { limits, load } = this.#options;
    if (this.#info === null) return limits.loadTimeoutMs;
    const prefillMs =
      (this.#info.memory.modelBytes * load.batchCapacity) / 512 / SLOWEST_BYTES_PER_MS;
    return Math.max(limits.watchdogMs, prefillMs, STEP_TIME_FACTOR * this.#stepTimes.medianMs());
  }

  #stalled(stalledMs: number): void {
    this.#options.counters.watchdogKills += 1;
    const seconds = Math.round(stalledMs / 100) / 10;
    const what = this.#stage === "ready" ? "made no progress" : "did not go on loading";
    this.#fault(`${what} for ${seconds} s and was ended`, "watchdog");
  }

  #disconnected(): void {
    this.#after(EXIT_AFTER_DISCONNECT_MS, () => {
      if (this.#stage !== "stopping") this.#fault("closed its channel and was ended", "crashed");
    });
  }

  /** The engine says that it cannot load this model. */
  #refuse(reason: string): void {
    if (!this.#accepts("loadFailed")) return;
    this.#finish({ stage: "failed", refused: true, cause: reason }, "load_failed");
    this.#kill();
  }

  /** A breach seen from outside. What it said so far counts, the process does not any more. */
  #fault(happened: string, reason: EngineExitReason): void {
    if (this.#end !== null) return;
    this.#advance("fault");
    this.#finishUnasked(happened, reason);
    this.#kill();
  }

  #exited(exit: EngineExit): void {
    if (this.#end === null) {
      this.#advance("exit");
      this.#finishUnasked(exitWords(exit), "crashed");
    } else if (this.#stage === "stopping") {
      this.#advance("exit");
    }
    this.#gone();
  }

  #finishUnasked(happened: string, reason: EngineExitReason): void {
    const stage = this.#stage === "failed" ? "failed" : "crashed";
    const cause = causeWords(happened, this.#channel.stderr());
    const isLoadFailure = stage === "failed" && reason === "crashed";
    this.#finish({ stage, refused: false, cause }, isLoadFailure ? "load_failed" : reason);
  }

  #finish(end: EngineEnd, reason: EngineExitReason): void {
    this.#end = end;
    this.#exitReason = reason;
    this.#watchdog.stop();
    this.#ready.reject(this.#loadFailure(end.cause));
    this.#jobs.failAll(this.#goneError());
    const { log, model } = this.#options;
    log.warn("engine ended", { model, state: end.stage, cause: end.cause, pid: this.#channel.pid });
  }

  #stopPolitely(): void {
    const { limits } = this.#options;
    this.#channel.send({ type: "shutdown" });
    this.#after(limits.politeMs, () => {
      this.#channel.kill("SIGTERM");
      this.#after(limits.terminateMs, () => this.#kill());
    });
  }

  #kill(): void {
    this.#channel.kill("SIGKILL");
    this.#after(REAP_MS, () => this.#gone());
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
    this.#options.counters.engineExits[this.#exitReason] += 1;
    this.#ended.resolve(this.#end ?? { stage: "crashed", refused: false, cause: "it is gone" });
  }

  #after(delayMs: number, callback: () => void): void {
    if (!this.#isGone) this.#timers.push(this.#options.clock.after(delayMs, callback));
  }

  /** Takes a message's transition; a message out of turn is a fault. */
  #accepts(input: EngineInput): boolean {
    if (nextStage(this.#stage, input) === null) {
      this.#fault("sent a message out of turn and was ended", "crashed");
      return false;
    }
    this.#advance(input);
    return true;
  }

  #advance(input: EngineInput): void {
    this.#stage = advance(this.#stage, input);
  }

  #goneError(): LmError {
    const { model } = this.#options;
    const cause = this.#end?.cause ?? "the engine is not ready";
    if (this.#end === null || this.#end.stage === "stopped") {
      return new LmError("model_unloaded", { model }, `Model "${model}" was unloaded.`);
    }
    return new LmError("engine_crashed", { model, cause }, `Model "${model}" stopped: ${cause}.`);
  }

  #loadFailure(reason: string, cause?: unknown): LmError {
    const { model } = this.#options;
    const message = `Model "${model}" could not be loaded: ${reason}`;
    return new LmError("model_load_failed", { model, reason }, message, { cause });
  }
}
