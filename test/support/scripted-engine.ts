/**
 * An engine process that does what it is told: a real child that speaks the engine protocol and
 * misbehaves on demand. The load is scripted by the model's path, a job by its prompt's text; both
 * hold JSON (see `LoadScript` and `JobScript`).
 */
import { writeSync } from "node:fs";
import type { Command } from "../../src/protocol/commands.ts";
import type { CacheLoad, EngineStatus, JobEvent } from "../../src/protocol/events.ts";
import { MODEL_INFO } from "./model-info.ts";

/** What happens at `load`: ready, a refusal, a death, or nothing for ever. */
export interface LoadScript {
  /** Tells apart models in one test. */
  name: string;
  load?: "ready" | "refuse" | "exit" | "abort" | "hang" | "half";
  /** Printed to stderr before. */
  says?: string;
  /** ms before it is ready. */
  delayMs?: number;
}

/** What a job does. `count` and `forever` stream one token per step. */
export type JobScript =
  | { op: "count"; tokens: number }
  | { op: "forever" }
  | { op: "busy" }
  | { op: "mute" }
  | { op: "silent" }
  | { op: "exit"; code: number }
  | { op: "signal"; signal: "SIGSEGV" | "SIGABRT" | "SIGBUS" | "SIGKILL" }
  | { op: "raw"; text: string }
  | { op: "send"; message: unknown }
  | { op: "event"; event: Record<string, unknown> }
  | { op: "stderr"; bytes: number }
  | { op: "closeStderr" }
  | { op: "disconnect" }
  | { op: "large"; characters: number }
  | { op: "refuse" };

const CHANNEL = 3;
const STEP_MS = 2;

interface Stream {
  jobId: number;
  left: number;
  sent: number;
  isMute: boolean;
}

let seq = 0;
let step = 0;
let receivedJobId = 0;
let timer: ReturnType<typeof setInterval> | null = null;
const streams = new Map<number, Stream>();
const silent = new Set<number>();

const STATUS: EngineStatus = {
  slots: [],
  parallel: 1,
  queued: 0,
  kvCells: 1_024,
  kvCellsUsed: 0,
  speculation: { draftedTokens: 0, acceptedTokens: 0 },
  cache: {
    storedSequences: 7,
    treeNodes: 0,
    treeTokens: 0,
    archivedBlocks: 0,
    archivedBytes: 0,
    hits: { running: 0, stored: 0, archive: 0 },
    misses: { off: 0, empty: 0, differs: 0, whole: 0, lost: 0, full: 0, gone: 0 },
  },
};

function send(message: object): void {
  seq += 1;
  process.send?.({ ...message, seq });
}

/** @param cache told with this step only. */
function emit(events: readonly JobEvent[], cache?: CacheLoad): void {
  step += 1;
  const load = {
    step,
    running: streams.size,
    queued: 0,
    kvCellsUsed: 0,
    kvCells: 1_024,
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
    ...(cache !== undefined && { cache }),
  };
  send({ type: "step", load, events, receivedJobId });
}

function stepStreams(): void {
  const events: JobEvent[] = [];
  for (const stream of streams.values()) {
    const { jobId } = stream;
    if (stream.isMute) continue;
    if (stream.left === 0) {
      events.push(...ending(jobId, stream.sent));
      streams.delete(jobId);
    } else {
      stream.left -= 1;
      stream.sent += 1;
      events.push({ type: "text", jobId, choice: 0, text: `t${stream.sent} `, tokens: 1 });
    }
  }
  if (streams.size === 0 && timer !== null) {
    clearInterval(timer);
    timer = null;
  }
  emit(events);
}

function ending(jobId: number, completionTokens: number): JobEvent[] {
  const timings = { queuedMs: 0, prefillMs: 0, decodeMs: 0, ttftMs: 0, computedPromptTokens: 1 };
  const done = { jobId, choice: 0, stop: null, completionTokens, meanLogprob: null };
  return [
    { type: "choiceDone", finish: "stop", ...done },
    { type: "jobDone", jobId, timings },
  ];
}

function open(jobId: number, tokens: number, isMute = false): void {
  streams.set(jobId, { jobId, left: tokens, sent: 0, isMute });
  emit([{ type: "accepted", jobId, promptTokens: 1, cachedTokens: 0 }]);
  timer ??= setInterval(stepStreams, STEP_MS);
}

function die(script: Extract<JobScript, { op: "signal" }>): void {
  process.kill(process.pid, script.signal);
}

function act(jobId: number, script: JobScript): void {
  switch (script.op) {
    case "count":
      return open(jobId, script.tokens);
    case "forever":
      return open(jobId, Infinity);
    case "mute":
      return open(jobId, 0, true);
    case "silent":
      silent.add(jobId);
      return;
    case "busy":
      open(jobId, Infinity);
      for (;;);
    case "exit":
      process.exit(script.code);
      return;
    case "signal":
      return die(script);
    case "raw":
      open(jobId, Infinity);
      writeSync(CHANNEL, script.text);
      return;
    case "send":
      open(jobId, Infinity);
      process.send?.(script.message);
      return;
    case "event":
      emit([script.event as unknown as JobEvent]);
      return open(jobId, 1);
    case "stderr":
      flood(script.bytes);
      return open(jobId, 1);
    case "closeStderr":
      process.stderr.end();
      return open(jobId, 1);
    case "disconnect":
      process.disconnect?.();
      return;
    case "large":
      emit([{ type: "accepted", jobId, promptTokens: 1, cachedTokens: 0 }]);
      emit([
        { type: "text", jobId, choice: 0, text: "x".repeat(script.characters), tokens: 1 },
        ...ending(jobId, 1),
      ]);
      return;
    case "refuse":
      emit([
        {
          type: "jobFailed",
          jobId,
          code: "context_length_exceeded",
          details: { promptTokens: 2_000, contextLength: 1_024, param: null },
          message: "too long",
        },
      ]);
      return;
  }
}

function flood(bytes: number): void {
  const block = Buffer.alloc(1 << 20, "x");
  for (let left = bytes; left > 0; left -= block.length) writeSync(2, block);
}

function loadModel(script: LoadScript): void {
  if (script.says !== undefined) writeSync(2, script.says);
  send({ type: "loading", fraction: 0.5 });
  switch (script.load ?? "ready") {
    case "ready":
      setTimeout(() => send({ type: "ready", model: MODEL_INFO }), script.delayMs ?? 0);
      return;
    case "refuse":
      send({ type: "loadFailed", reason: "unknown architecture: 'wobble'" });
      process.exit(1);
      return;
    case "exit":
      process.exit(7);
      return;
    case "abort":
      process.kill(process.pid, "SIGABRT");
      return;
    case "hang":
      return;
    case "half":
      writeSync(CHANNEL, '{"type":"rea');
      process.exit(0);
  }
}

function receive(command: Command): void {
  switch (command.type) {
    case "load":
      return loadModel(JSON.parse(command.options.modelPath) as LoadScript);
    case "generate": {
      receivedJobId = command.jobId;
      const { prompt } = command.job;
      const text = prompt.kind === "text" ? prompt.text : '{"op":"count","tokens":1}';
      return act(command.jobId, JSON.parse(text) as JobScript);
    }
    case "embed": {
      receivedJobId = command.jobId;
      const vector = Buffer.from(new Float32Array([0.6, 0.8]).buffer).toString("base64");
      const vectors = command.inputs.map(() => vector);
      return emit([{ type: "embedded", jobId: command.jobId, vectors, tokens: vectors.length }]);
    }
    case "tokenize":
      receivedJobId = command.jobId;
      return emit([{ type: "tokenized", jobId: command.jobId, tokens: [1, 2, 3] }]);
    case "inspect": {
      receivedJobId = command.jobId;
      const { cache } = STATUS;
      return emit([{ type: "inspected", jobId: command.jobId, status: STATUS }], cache);
    }
    case "cancel": {
      const { jobId } = command;
      const isKnown = streams.delete(jobId) || silent.delete(jobId);
      if (isKnown) emit([{ type: "cancelled", jobId, stage: "decode", step }]);
      return;
    }
    case "ack":
      return;
    case "shutdown":
      process.exit(0);
  }
}

process.on("message", receive);
process.on("disconnect", () => process.exit(0));
const flag = process.argv.indexOf("--build-id");
send({ type: "hello", buildId: process.argv[flag + 1] ?? "", pid: process.pid });
