import type { EngineChannel, EngineListener, SpawnEngine } from "../../src/pool/engine-channel.ts";
import type { Command } from "../../src/protocol/commands.ts";
import type { JobEvent, LoadedModelInfo } from "../../src/protocol/events.ts";
import { MODEL_INFO } from "./model-info.ts";
import { BUILD_ID } from "./pool-fixture.ts";

/** An engine in this thread: the test says what it sends and when it ends. */
export class FakeChannel implements EngineChannel {
  static #pids = 100;
  readonly pid = (FakeChannel.#pids += 1);
  readonly received: Command[] = [];
  readonly signals: string[] = [];
  isGone = false;
  /** What it says on stderr. */
  words = "";
  onCommand: (command: Command) => void = () => {};
  /** Signals end it at once unless this is set. */
  isUnkillable = false;
  readonly #listener: EngineListener;
  #seq = 0;
  #step = 0;

  constructor(listener: EngineListener) {
    this.#listener = listener;
  }

  send(command: Command): void {
    if (this.isGone) return;
    this.received.push(command);
    this.onCommand(command);
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.signals.push(signal);
    if (!this.isUnkillable) this.end(null, signal);
  }

  stderr(): string {
    return this.words;
  }

  end(code: number | null, signal: string | null = null): void {
    if (this.isGone) return;
    this.isGone = true;
    queueMicrotask(() => this.#listener.ended({ code, signal }));
  }

  disconnect(): void {
    this.#listener.disconnected();
  }

  /** Any value, without a number. */
  say(value: unknown): void {
    if (!this.isGone) this.#listener.message(value);
  }

  hello(buildId = BUILD_ID): void {
    this.#number({ type: "hello", buildId, pid: this.pid });
  }

  ready(facts: Partial<LoadedModelInfo> = {}): void {
    this.#number({ type: "ready", model: { ...MODEL_INFO, ...facts } });
  }

  /** @param param the field that asked for what cannot be loaded. */
  refuse(reason: string, param?: string): void {
    this.#number({ type: "loadFailed", reason, ...(param !== undefined && { param }) });
  }

  trouble(cause: string): void {
    this.#number({ type: "trouble", cause, reason: `${cause}: it failed` });
  }

  step(events: readonly JobEvent[], receivedJobId?: number): void {
    this.#step += 1;
    const load = { step: this.#step, running: 0, queued: 0, kvCellsUsed: 0, kvCells: 0 };
    const totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };
    const receipt = receivedJobId === undefined ? {} : { receivedJobId };
    this.#number({ type: "step", load: { ...load, ...totals }, events, ...receipt });
  }

  #number(message: object): void {
    this.#seq += 1;
    this.say({ ...message, seq: this.#seq });
  }
}

/** Starts fake engines and keeps each of them, oldest first. */
export function fakeSpawner(onSpawn: (engine: FakeChannel) => void = () => {}): {
  spawn: SpawnEngine;
  engines: FakeChannel[];
} {
  const engines: FakeChannel[] = [];
  const spawn: SpawnEngine = (listener) => {
    const engine = new FakeChannel(listener);
    engines.push(engine);
    onSpawn(engine);
    return engine;
  };
  return { spawn, engines };
}

/** The events that end a generate job. */
export function doneEvents(jobId: number): JobEvent[] {
  const timings = { queuedMs: 0, prefillMs: 0, decodeMs: 0, ttftMs: 0, computedPromptTokens: 1 };
  const counts = { stop: null, completionTokens: 1, meanLogprob: null };
  return [
    { type: "choiceDone", jobId, choice: 0, finish: "stop", ...counts },
    { type: "jobDone", jobId, timings },
  ];
}
