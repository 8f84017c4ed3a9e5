import { assert, defined } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { hasCode, LmError } from "../lib/errors.ts";
import type { Backend } from "../llama/backend.ts";
import type { Command, LoadOptions } from "../protocol/commands.ts";
import type { EngineMessage } from "../protocol/events.ts";
import type { Engine } from "./engine.ts";
import { loadEngine } from "./load-engine.ts";

/** Messages the server may leave unacknowledged before the engine stops computing. */
const WINDOW = 512;
/** Loading progress is told in steps of this size. */
const PROGRESS_STEP = 0.02;

type Unnumbered<Message> = Message extends { seq: number } ? Omit<Message, "seq"> : never;

export interface SessionOptions {
  /** @throws LmError engine_unavailable when the libraries cannot be used. */
  createBackend: () => Backend;
  defaultThreads: () => number;
  mostThreads: () => number;
  buildId: string;
  clock: Clock;
  /** Hands a message to the server, in order. */
  send: (message: EngineMessage) => void;
}

/** How the process must end: after `loadFailed` with failure, after `shutdown` with success. */
export type SessionEnd = "shutdown" | "loadFailed";

/** The server's commands on one side, the engine on the other. Its states: waiting, loaded, over. */
export class EngineSession {
  readonly #options: SessionOptions;
  readonly #over = Promise.withResolvers<SessionEnd>();
  readonly #stop = new AbortController();
  #engine: Engine | null = null;
  #sent = 0;
  #acknowledged = 0;
  #receivedJobId = 0;
  #progress = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#send({ type: "hello", buildId: options.buildId, pid: process.pid });
  }

  /** Rejects when the engine loop fails, which is a bug: the process must die of it. */
  get over(): Promise<SessionEnd> {
    return this.#over.promise;
  }

  /** Takes one command. They come from our own server: anything unknown is a bug. */
  receive(command: Command): void {
    switch (command.type) {
      case "load":
        return this.#load(command.options);
      case "generate":
        this.#receivedJobId = command.jobId;
        return this.#loaded.generate(command.jobId, command.job);
      case "embed":
        this.#receivedJobId = command.jobId;
        return this.#loaded.embed(command.jobId, command.inputs);
      case "tokenize":
        this.#receivedJobId = command.jobId;
        return this.#loaded.tokenize(command.jobId, command.prompt);
      case "inspect":
        this.#receivedJobId = command.jobId;
        return this.#loaded.inspect(command.jobId);
      case "cancel":
        return this.#loaded.cancel(command.jobId);
      case "ack":
        return this.#acknowledge(command.upTo);
      case "shutdown":
        return void this.#shutdown();
      default:
        assert(false, `unknown command ${JSON.stringify(command)}`);
    }
  }

  get #loaded(): Engine {
    return defined(this.#engine, "a job came before the model was ready");
  }

  #load(options: LoadOptions): void {
    assert(this.#engine === null, "a process loads one model");
    const { createBackend, defaultThreads, mostThreads, buildId, clock } = this.#options;
    try {
      const { engine, info } = loadEngine(options, {
        backend: createBackend(),
        clock,
        defaultThreads,
        mostThreads,
        send: (load, events) =>
          this.#send({ type: "step", load, events, receivedJobId: this.#receivedJobId }),
        onProgress: (fraction) => this.#reportProgress(fraction),
        buildId,
        onTrouble: (trouble) => this.#send({ type: "trouble", ...trouble }),
      });
      this.#engine = engine;
      this.#send({ type: "ready", model: info });
      engine.run(this.#stop.signal).catch((error: unknown) => this.#over.reject(error));
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      const param = hasCode(error, "invalid_request") ? error.details.param : null;
      const field = param === null ? {} : { param };
      this.#send({ type: "loadFailed", reason: error.message, ...field });
      this.#over.resolve("loadFailed");
    }
  }

  #reportProgress(fraction: number): void {
    if (fraction < this.#progress + PROGRESS_STEP && fraction < 1) return;
    if (fraction === this.#progress) return;
    this.#progress = fraction;
    this.#send({ type: "loading", fraction });
  }

  #send(message: Unnumbered<EngineMessage>): void {
    this.#sent++;
    this.#options.send({ ...message, seq: this.#sent });
    if (this.#sent - this.#acknowledged > WINDOW) this.#engine?.pause();
  }

  #acknowledge(upTo: number): void {
    assert(upTo <= this.#sent, "only what was sent can be acknowledged");
    this.#acknowledged = Math.max(this.#acknowledged, upTo);
    if (this.#sent - this.#acknowledged <= WINDOW) this.#engine?.resume();
  }

  async #shutdown(): Promise<void> {
    this.#stop.abort();
    const engine = this.#engine;
    this.#engine = null;
    await engine?.finish();
    engine?.dispose();
    this.#over.resolve("shutdown");
  }
}
