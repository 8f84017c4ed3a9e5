import { writeFileSync } from "node:fs";
import type { Command } from "../protocol/commands.ts";
import { systemCode } from "../lib/system-code.ts";
import { engineEnvironment } from "./engine-environment.ts";
import { TailBuffer } from "./tail-buffer.ts";

/** How the process ended; exactly one of the two is set. */
export interface EngineExit {
  code: number | null;
  signal: string | null;
}

export interface EngineListener {
  /** One message, not yet checked. */
  message(value: unknown): void;
  /** The message channel is closed; the process may still run. */
  disconnected(): void;
  /** The process is gone and reaped, and all that it sent has been delivered. Last call. */
  ended(exit: EngineExit): void;
}

/** A running engine process as the pool sees it. */
export interface EngineChannel {
  readonly pid: number;
  /** Never blocks and never refuses: the caller bounds what it sends. Nothing after the end. */
  send(command: Command): void;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
  /** The end of what it wrote to stderr. */
  stderr(): string;
}

/** Starts an engine process. @throws Error when the system refuses to start one. */
export type SpawnEngine = (listener: EngineListener) => EngineChannel;

/** How an engine is started; the same build as the server, or it is refused at its first message. */
export interface EngineCommand {
  /**
   * The whole command line. In the executable it starts with `/proc/self/exe`, which is the running
   * build even after the file on disk was replaced.
   */
  command: readonly string[];
  /** Must equal the `buildId` of the engine's `hello`. */
  buildId: string;
}

const STDERR_BYTES = 64 * 1024;

/** Wait for the channel and stderr to end after the process; a grandchild may hold them open. */
const LINGER_MS = 250;

/** Starts real engine processes with a scrubbed environment, no stdin and a bounded stderr. */
export function engineSpawner(
  commandLine: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): SpawnEngine {
  const env = engineEnvironment(environment);
  return (listener) => {
    const tail = new TailBuffer(STDERR_BYTES);
    const channelClosed = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<EngineExit>();
    let isOpen = true;
    const child = Bun.spawn([...commandLine], {
      env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "json",
      ipc: (message: unknown) => listener.message(message),
      onDisconnect: () => {
        isOpen = false;
        channelClosed.resolve();
        listener.disconnected();
      },
      onExit: (_child, code) => {
        isOpen = false;
        const signal = child.signalCode;
        exited.resolve({ code, signal: signal === null ? null : String(signal) });
      },
    });
    const stderrClosed = drain(child.stderr, tail);
    offerToOomKiller(child.pid);
    void exited.promise.then(async (exit) => {
      await Promise.race([Promise.all([channelClosed.promise, stderrClosed]), linger()]);
      listener.ended(exit);
    });
    return {
      pid: child.pid,
      send: (command) => {
        // After the end the exit event tells everything; a late command has no reader.
        if (isOpen) child.send(command);
      },
      kill: (signal) => child.kill(signal),
      stderr: () => tail.text(),
    };
  };
}

/** When memory runs out the kernel should end an engine, which costs one model, not the server. */
function offerToOomKiller(pid: number): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "500");
  } catch (error) {
    // The process may be gone already, or /proc read-only; the preference is all that is lost.
    if (systemCode(error) === null) throw error;
  }
}

async function drain(stream: ReadableStream<Uint8Array>, tail: TailBuffer): Promise<void> {
  for await (const bytes of stream) tail.push(bytes);
}

async function linger(): Promise<void> {
  await Bun.sleep(LINGER_MS);
}
