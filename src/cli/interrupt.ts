import { EXIT, ExitError } from "./command.ts";

const FORCED_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

/** A person's wish to stop something that takes long. Ends with its scope. */
export interface Interrupt extends Disposable {
  /** Aborted by the first Ctrl-C or SIGTERM; the reason is an ExitError. The second ends the process. */
  signal: AbortSignal;
}

/** Listens until disposed: `using interrupt = watchInterrupt("The load was cancelled.")`. */
export function watchInterrupt(message: string): Interrupt {
  const stop = new AbortController();
  const listeners = (["SIGINT", "SIGTERM"] as const).map((name) => {
    const listener = (): void => {
      if (stop.signal.aborted) process.exit(FORCED_EXIT[name]);
      stop.abort(new ExitError(EXIT.failed, message, { code: "cancelled" }));
    };
    process.on(name, listener);
    return { name, listener };
  });
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
