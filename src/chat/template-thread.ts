import { LmError, invalidRequest } from "../lib/errors.ts";
import { TEMPLATE_DEADLINE_MS } from "../lib/limits.ts";
import { RenderDeadline, type RenderEnd } from "./render-deadline.ts";
import type { RenderedText, RenderReply, RenderRequest } from "./render-protocol.ts";
import type { WorkerSupply } from "./worker-supply.ts";

type Job = {
  request: string;
  resolve: (rendered: RenderedText) => void;
  reject: (error: unknown) => void;
};

const STARVED_RETRY_MS = 5_000;

/** What a thread works with. */
export interface ThreadTools {
  deadline: RenderDeadline;
  supply: Pick<WorkerSupply, "take" | "prepare">;
}

const refused = (message: string): LmError<"invalid_request"> =>
  invalidRequest("messages", "chat_template_error", message);

/**
 * A thread that renders one template's conversations, one after the other. A render that computes
 * too long costs the thread, which the next render replaces; nobody else waits for it.
 */
export class TemplateThread {
  readonly #deadline: RenderDeadline;
  readonly #supply: ThreadTools["supply"];
  readonly #queue: Job[] = [];
  #worker: Worker | null = null;
  #current: Job | null = null;

  constructor({ deadline, supply }: ThreadTools) {
    this.#deadline = deadline;
    this.#supply = supply;
  }

  get isIdle(): boolean {
    return this.#current === null && this.#queue.length === 0;
  }

  /**
   * One that is aborted gives up its turn; under way it goes on, since to end it costs the thread.
   * @param signal null = it is rendered for whoever asks.
   * @throws LmError invalid_request (chat_template_error); overloaded when the thread cannot compute;
   * `signal.reason` at once when aborted.
   */
  async render(request: RenderRequest, signal: AbortSignal | null): Promise<RenderedText> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<RenderedText>();
    const job = { request: JSON.stringify(request), resolve, reject };
    const leave = (): void => {
      const place = this.#queue.indexOf(job);
      if (place !== -1) this.#queue.splice(place, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#queue.push(job);
    this.#next();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  /** Ends the thread; renders under way are refused. */
  close(): void {
    const jobs = [...(this.#current === null ? [] : [this.#current]), ...this.#queue.splice(0)];
    this.#drop();
    for (const job of jobs) job.reject(refused("The chat template is no longer in use."));
  }

  #next(): void {
    if (this.#current !== null) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#current = job;
    try {
      this.#worker ??= this.#takeWorker();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#deadline.start(TEMPLATE_DEADLINE_MS, (end) => this.#fail(endError(end)));
    this.#worker.postMessage(job.request, []);
  }

  /** @throws LmError overloaded. */
  #takeWorker(): Worker {
    const worker = this.#supply.take();
    worker.addEventListener("message", (event: MessageEvent<string>) => {
      if (worker === this.#worker) this.#finish(event.data);
    });
    worker.addEventListener("error", (event) => {
      if (worker !== this.#worker) return;
      this.#fail(refused(`The chat template failed: ${event.message}`));
    });
    return worker;
  }

  #finish(data: string): void {
    this.#deadline.stop();
    this.#supply.prepare();
    const job = this.#current;
    this.#current = null;
    // Written by render-worker.ts of this same program.
    const reply = JSON.parse(data) as RenderReply;
    if ("text" in reply) job?.resolve(reply);
    else job?.reject(refused(`Chat template: ${reply.error}`));
    this.#next();
  }

  #fail(error: unknown): void {
    const job = this.#current;
    this.#drop();
    job?.reject(error);
    this.#next();
  }

  #drop(): void {
    this.#deadline.stop();
    this.#worker?.terminate();
    this.#worker = null;
    this.#current = null;
  }
}

function endError(end: RenderEnd): LmError {
  if (end === "spent") {
    return refused(`The chat template took longer than ${TEMPLATE_DEADLINE_MS} ms.`);
  }
  const message = "The machine is too busy to render the conversation.";
  return new LmError("overloaded", { retryAfterMs: STARVED_RETRY_MS }, message);
}
