import { assert, defined } from "../lib/assert.ts";
import type { ComputeCall } from "./compute-call.ts";

/** Inside the executable every module has the address of the program, whose root is `src`. */
const WORKER_URL =
  import.meta.file === "compute-thread.ts"
    ? new URL("./compute-worker.ts", import.meta.url)
    : new URL("./llama/compute-worker.ts", import.meta.url);

/** A thread on which one call at a time computes, while this one goes on. */
export class ComputeThread {
  readonly #worker = new Worker(WORKER_URL.href, { smol: true });
  #answer: PromiseWithResolvers<number> | null = null;

  constructor() {
    this.#worker.addEventListener("message", (event: MessageEvent<number>) => {
      const answer = defined(this.#answer, "an answer belongs to a call");
      this.#answer = null;
      answer.resolve(event.data);
    });
    this.#worker.addEventListener("error", (event) => {
      this.#answer?.reject(new Error(`A compute thread failed: ${event.message}`));
      this.#answer = null;
    });
  }

  /** @returns what the library's function returned. Rejects when the thread cannot be started. */
  call(call: ComputeCall): Promise<number> {
    assert(this.#answer === null, "a thread computes one thing at a time");
    this.#answer = Promise.withResolvers();
    this.#worker.postMessage(call, []);
    return this.#answer.promise;
  }

  /** Ends the thread, which must be idle: a native call cannot be interrupted. */
  dispose(): void {
    assert(this.#answer === null, "a thread that computes is not ended");
    this.#worker.terminate();
  }
}
