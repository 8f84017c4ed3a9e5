import type { Clock } from "../lib/clock.ts";
import type { LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import type { EngineLoad, EngineMessage, JobEvent, LoadedModelInfo } from "../protocol/events.ts";
import type { PoolCounters } from "./counters.ts";
import type { EngineChannel, EngineExit, SpawnEngine } from "./engine-channel.ts";
import { EngineEnder, goneError, loadRefusal, startFailure, type EngineEnd } from "./engine-end.ts";
import { EngineInbox } from "./engine-inbox.ts";
import { EngineJobs, isTerminal, type NewJob } from "./engine-jobs.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { advance, nextStage, type EngineInput, type EngineStage } from "./engine-machine.ts";
import { jobFailure } from "./job-failure.ts";
import { LoadProgress } from "./load-progress.ts";
import { causeWords, exitWords, isKilled, lastWords } from "./last-words.ts";
import type { EngineExitReason } from "./pool.ts";
import { SilenceLimit } from "./silence-limit.ts";
import { TroubleLog } from "./trouble-log.ts";
import { Watchdog } from "./watchdog.ts";

export interface EngineProcessOptions {
  /** The model's key, for errors. */
  model: string;
  spawn: SpawnEngine;
  buildId: string;
  load: LoadOptions;
  /** Of its files. */
  modelBytes: number;
  maxQueue: number;
  limits: EngineLimits;
  clock: Clock;
  log: Log;
  counters: PoolCounters;
  /** Aborted when the server takes no new jobs; its reason is what they fail with. */
  closing: AbortSignal;
}

/** The channel of a dying process closes just before its exit is known. */
const EXIT_AFTER_DISCONNECT_MS = 200;

/**
 * One engine process and its life. Every way it can end fails its own jobs and nothing else.
 * The states are those of engine-machine.ts.
 */
export class EngineProcess {
  readonly #options: EngineProcessOptions;
  readonly #channel: EngineChannel;
  readonly #inbox: EngineInbox;
  readonly #ender: EngineEnder;
  readonly #progress: LoadProgress;
  readonly #jobs: EngineJobs;
  readonly #watchdog: Watchdog;
  readonly #silence: SilenceLimit;
  readonly #troubles: TroubleLog;
  readonly #ready = Promise.withResolvers<LoadedModelInfo>();
  readonly #ended = Promise.withResolvers<EngineEnd>();
  #stage: EngineStage = "starting";
  #info: LoadedModelInfo | null = null;
  #load: EngineLoad | null = null;
  #end: EngineEnd | null = null;
  #exitReason: EngineExitReason = "crashed";

  /** @throws LmError model_load_failed when the system does not start the process. */
  constructor(options: EngineProcessOptions) {
    const { model, load, maxQueue, limits, clock, log, counters } = options;
    this.#options = options;
    this.#ready.promise.catch(() => {
      // Nobody may be waiting; every failure is also told by `ended`.
    });
    this.#channel = this.#spawn();
    this.#inbox = new EngineInbox((upTo) => this.#channel.send({ type: "ack", upTo }));
    const onGone = () => this.#gone();
    this.#ender = new EngineEnder({ channel: this.#channel, limits, clock, onGone });
    this.#progress = new LoadProgress(options.modelBytes);
    this.#troubles = new TroubleLog(model, log, counters);
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
    const mayReadPrompt = (): boolean => this.#jobs.mayReadPrompt;
    this.#silence = new SilenceLimit(limits, load.batchCapacity, mayReadPrompt, clock);
    this.#watchdog = new Watchdog(
      clock,
      () => this.#silence.ms,
      (stalledMs) => this.#stalled(stalledMs),
    );
    this.#watchdog.start();
  }

  get stage(): EngineStage {
    return this.#stage;
  }

  get pid(): number | null {
    return this.#ender.isGone ? null : this.#channel.pid;
  }

  get info(): LoadedModelInfo | null {
    return this.#info;
  }

  get load(): EngineLoad | null {
    return this.#load;
  }

  /** Part of the model read so far, 0 to 1; only grows. */
  get loadedFraction(): number {
    return this.#progress.fraction(this.#channel.pid);
  }

  get jobs(): Pick<EngineJobs, "running" | "queued" | "unreadBytes" | "activity"> {
    return this.#jobs;
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
    if (this.#stage !== "ready") throw goneError(this.#options.model, this.#end);
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
      if (wasReady) this.#ender.stopPolitely();
      else this.#ender.kill();
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
      throw startFailure(this.#options.model, error);
    }
  }

  #receive(value: unknown): void {
    if (this.#end !== null) return;
    const message = this.#inbox.read(value);
    if (message === null) {
      this.#fault("sent a malformed message and was ended", "crashed");
      return;
    }
    this.#handle(message);
    this.#inbox.handled();
  }

  #handle(message: EngineMessage): void {
    switch (message.type) {
      case "hello":
        return this.#hello(message.buildId);
      case "loading":
        this.#progress.told(message.fraction);
        this.#watchdog.progress();
        return;
      case "ready":
        return this.#becomeReady(message.model);
      case "loadFailed":
        return this.#refuse(lastWords(message.reason), message.param);
      case "trouble":
        return this.#troubles.add(message);
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
    this.#progress.begin(this.#channel.pid);
    this.#channel.send({ type: "load", options: this.#options.load });
  }

  #becomeReady(info: LoadedModelInfo): void {
    if (!this.#accepts("ready")) return;
    this.#info = info;
    this.#silence.loaded(info.memory.modelBytes);
    this.#progress.told(1);
    this.#watchdog.stop();
    this.#ready.resolve(info);
    const { log, model, load } = this.#options;
    const { contextLength, threads } = info;
    if (load.threads !== null && threads < load.threads) {
      const facts = { model, askedThreads: load.threads, threads };
      log.warn("fewer threads compute than were asked for: no more processors may be used", facts);
    }
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
    this.#silence.step();
    this.#jobs.step(load.step, events, message.receivedJobId ?? 0);
    if (isProgress) this.#watchdog.progress();
    if (this.#jobs.count === 0) {
      this.#watchdog.stop();
      this.#silence.rest();
    }
  }

  #stalled(stalledMs: number): void {
    this.#options.counters.watchdogKills += 1;
    const seconds = Math.round(stalledMs / 100) / 10;
    const what = this.#stage === "ready" ? "made no progress" : "did not go on loading";
    this.#fault(`${what} for ${seconds} s and was ended`, "watchdog");
  }

  #disconnected(): void {
    this.#ender.after(EXIT_AFTER_DISCONNECT_MS, () => {
      if (this.#stage !== "stopping") this.#fault("closed its channel and was ended", "crashed");
    });
  }

  /** The engine says that it cannot load this model. */
  #refuse(reason: string, param?: string): void {
    if (!this.#accepts("loadFailed")) return;
    const field = param === undefined ? {} : { param };
    this.#finish({ stage: "failed", refused: true, cause: reason, ...field }, "load_failed");
    this.#ender.kill();
  }

  /** A breach seen from outside. What it said so far counts, the process does not any more. */
  #fault(happened: string, reason: EngineExitReason): void {
    if (this.#end !== null) return;
    this.#advance("fault");
    this.#finishUnasked(happened, reason, this.#channel.stderr());
    this.#ender.kill();
  }

  #exited(exit: EngineExit): void {
    if (this.#end === null) {
      this.#advance("exit");
      const said = isKilled(exit) ? "" : this.#channel.stderr();
      this.#finishUnasked(exitWords(exit), "crashed", said);
    } else if (this.#stage === "stopping") {
      this.#advance("exit");
    }
    this.#ender.gone();
  }

  #finishUnasked(happened: string, reason: EngineExitReason, said: string): void {
    const stage = this.#stage === "failed" ? "failed" : "crashed";
    const cause = causeWords(happened, said);
    const isLoadFailure = stage === "failed" && reason === "crashed";
    this.#finish({ stage, refused: false, cause }, isLoadFailure ? "load_failed" : reason);
  }

  #finish(end: EngineEnd, reason: EngineExitReason): void {
    this.#end = end;
    this.#exitReason = reason;
    this.#watchdog.stop();
    const { log, model } = this.#options;
    this.#ready.reject(loadRefusal(model, end.cause, end.param));
    this.#jobs.failAll(goneError(model, end));
    log.warn("engine ended", { model, state: end.stage, cause: end.cause, pid: this.#channel.pid });
  }

  #gone(): void {
    this.#options.counters.engineExits[this.#exitReason] += 1;
    this.#ended.resolve(this.#end ?? { stage: "crashed", refused: false, cause: "it is gone" });
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
}
