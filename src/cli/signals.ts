/** What the outside asks of a running server. */
export interface Signals {
  /** Resolves with the first request to stop. */
  stop: Promise<"SIGINT" | "SIGTERM">;
  /** Aborted at the same moment. */
  stopping: AbortSignal;
}

const FORCED_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * The first SIGINT or SIGTERM asks to stop, the second ends the process at once; engines notice
 * their parent's death. SIGHUP asks to read the configuration again. Signals that would end a
 * process that does not know them are ignored.
 */
export function watchSignals(onReload: () => void): Signals {
  const stop = Promise.withResolvers<"SIGINT" | "SIGTERM">();
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(FORCED_EXIT[signal]);
      stopping.abort(new Error(`received ${signal}`));
      stop.resolve(signal);
    });
  }
  if (process.platform !== "win32") {
    process.on("SIGHUP", onReload);
    for (const signal of ["SIGUSR1", "SIGUSR2", "SIGPIPE"] as const) process.on(signal, ignore);
  }
  return { stop: stop.promise, stopping: stopping.signal };
}

function ignore(): void {
  // Having a listener is what keeps the process alive.
}
