import { LmError } from "../lib/errors.ts";
import { hasFreeDescriptors } from "../lib/free-descriptors.ts";

/**
 * Bun ends the whole program when a thread finds no descriptor at its start, which no code can catch.
 * A thread takes two; connections may take others before it has them.
 */
const SPARE_DESCRIPTORS = 32;
const RETRY_MS = 1_000;

/** Inside the executable every module has the address of the program, whose root is `src`. */
const WORKER_URL =
  import.meta.file === "worker-supply.ts"
    ? new URL("./render-worker.ts", import.meta.url)
    : new URL("./chat/render-worker.ts", import.meta.url);

function startRenderWorker(): Worker {
  const worker = new Worker(WORKER_URL.href);
  worker.unref();
  return worker;
}

/**
 * Threads for templates. One is kept ready, so that the first chat with a model needs none to start: it
 * would have to wait for it, and could not have it where descriptors are short.
 */
export class WorkerSupply {
  readonly #start: () => Worker;
  readonly #hasRoom: () => boolean;
  #spare: Worker | null = null;

  /** Both are handed in by tests. */
  constructor(
    start = startRenderWorker,
    hasRoom = (): boolean => hasFreeDescriptors(SPARE_DESCRIPTORS),
  ) {
    this.#start = start;
    this.#hasRoom = hasRoom;
  }

  /** Sees to it that one is ready, where descriptors last. */
  prepare(): void {
    if (this.#spare === null && this.#hasRoom()) this.#spare = this.#start();
  }

  /** @throws LmError overloaded when none is ready and descriptors are short. */
  take(): Worker {
    this.prepare();
    const worker = this.#spare;
    this.#spare = null;
    if (worker !== null) return worker;
    const message =
      "The server has too many open connections and files to render the conversation.";
    throw new LmError("overloaded", { retryAfterMs: RETRY_MS }, message);
  }

  close(): void {
    this.#spare?.terminate();
    this.#spare = null;
  }
}
