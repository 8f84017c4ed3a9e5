import { systemClock } from "../lib/clock.ts";
import { dieWithParent, forbidMemoryDumps, forbidNewPrivileges } from "../llama/process-guard.ts";
import type { Command } from "../protocol/commands.ts";
import { EngineSession, type SessionOptions } from "./engine-session.ts";
import { Outbox } from "./outbox.ts";

/** What differs between the real engine and one over a fake backend. */
export type EngineProcessOptions = Pick<
  SessionOptions,
  "createBackend" | "defaultThreads" | "mostThreads" | "buildId"
>;

/** A terminal sends Ctrl-C to every process of its group; the server decides when engines end. */
const IGNORED_SIGNALS = ["SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** Longest wait at the end until a server reads the last messages. */
const FLUSH_MS = 2_000;

/**
 * Makes this process an engine: it obeys the IPC channel it was started with until it is told to
 * shut down, its model cannot be loaded, or its parent is gone.
 *
 * @returns the exit code. A bug rejects: the process must then die loudly.
 */
export async function runEngineProcess(options: EngineProcessOptions): Promise<number> {
  if (process.send === undefined) throw new Error("The engine is started by the server only");
  // The channel's end is noticed between steps only; the kernel notices at once.
  dieWithParent(process.ppid);
  forbidNewPrivileges();
  forbidMemoryDumps();
  if (process.platform !== "win32") {
    for (const signal of IGNORED_SIGNALS) process.on(signal, () => undefined);
  }
  const outbox = new Outbox((message, onSent) => {
    process.send?.(message, undefined, undefined, onSent);
  });
  const session = new EngineSession({
    ...options,
    clock: systemClock,
    send: (message) => outbox.send(message),
  });
  const orphaned = new Promise<number>((resolve) => {
    process.on("disconnect", () => resolve(0));
  });
  const failed = new Promise<never>((_resolve, reject) => {
    process.on("message", (command: Command) => {
      try {
        session.receive(command);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
  const ended = session.over.then((end) => (end === "shutdown" ? 0 : 1));
  const code = await Promise.race([orphaned, failed, ended]);
  // Without a server nobody calls back for what was on its way.
  await Promise.race([outbox.empty, orphaned, Bun.sleep(FLUSH_MS)]);
  return code;
}
