import { assert } from "../lib/assert.ts";
import type { EngineState } from "./pool.ts";

/** EngineState and the end that was asked for. */
export type EngineStage = EngineState | "stopped";

/**
 * What can happen to an engine process. `fault` is any breach noticed from outside: a malformed
 * message, a closed channel, no progress; the process is then killed.
 */
export type EngineInput = "hello" | "ready" | "loadFailed" | "stop" | "fault" | "exit";

/** The whole life of an engine process. An input without an entry is refused in that state. */
const TRANSITIONS: Readonly<
  Record<EngineStage, Readonly<Partial<Record<EngineInput, EngineStage>>>>
> = {
  starting: {
    hello: "loading",
    loadFailed: "failed",
    stop: "stopping",
    fault: "failed",
    exit: "failed",
  },
  loading: {
    ready: "ready",
    loadFailed: "failed",
    stop: "stopping",
    fault: "failed",
    exit: "failed",
  },
  ready: { stop: "stopping", fault: "crashed", exit: "crashed" },
  stopping: { fault: "stopping", exit: "stopped" },
  failed: {},
  crashed: {},
  stopped: {},
};

/** The next state, or null when the input is refused. */
export function nextStage(stage: EngineStage, input: EngineInput): EngineStage | null {
  return TRANSITIONS[stage][input] ?? null;
}

/** The next state of an input that this state must accept. */
export function advance(stage: EngineStage, input: EngineInput): EngineStage {
  const next = nextStage(stage, input);
  assert(next !== null, `engine: ${input} in state ${stage}`);
  return next;
}
