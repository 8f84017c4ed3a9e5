import type { JobEvent } from "../protocol/events.ts";

type TextEvent = Extract<JobEvent, { type: "text" }>;

/** Log probabilities are joined up to this many tokens, so that joining stays linear. */
const MAX_JOINED_LOGPROBS = 256;

/**
 * Events of one job between the engine's message and its reader. A reader that falls behind finds
 * the text of several steps joined, so what waits here is bounded by the text itself.
 */
export class EventQueue {
  #events: JobEvent[] = [];
  #tokens = 0;
  #failure: { error: unknown } | null = null;
  #wake: (() => void) | null = null;

  /** Tokens whose events wait to be read. */
  get bufferedTokens(): number {
    return this.#tokens;
  }

  push(event: JobEvent): void {
    if (this.#failure !== null) return;
    if (event.type === "text") this.#tokens += event.tokens;
    const joined = join(this.#events.at(-1), event);
    if (joined === null) this.#events.push(event);
    else this.#events[this.#events.length - 1] = joined;
    this.#signal();
  }

  /** The reader gets what waits, then `error`. The first failure stays. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#signal();
  }

  /** The reader gets `error` next; what waits is dropped. */
  abort(error: unknown): void {
    this.#events = [];
    this.#tokens = 0;
    this.#failure = { error };
    this.#signal();
  }

  /** The next event; waits for it. One reader at a time. */
  async next(): Promise<JobEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        if (event.type === "text") this.#tokens -= event.tokens;
        return event;
      }
      if (this.#failure !== null) throw this.#failure.error;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

/** Both events as one, or null when they must stay apart. */
function join(last: JobEvent | undefined, next: JobEvent): JobEvent | null {
  if (last === undefined) return null;
  if (last.type === "progress" && next.type === "progress") return next;
  if (last.type !== "text" || next.type !== "text" || last.choice !== next.choice) return null;
  return joinText(last, next);
}

function joinText(last: TextEvent, next: TextEvent): TextEvent | null {
  const isScored = last.logprobs !== undefined || next.logprobs !== undefined;
  const logprobs = isScored ? [...(last.logprobs ?? []), ...(next.logprobs ?? [])] : [];
  if (logprobs.length > MAX_JOINED_LOGPROBS) return null;
  // The list of what waits here grows in place, so that joining stays linear.
  const sizes = last.sizes ?? [last.text.length];
  for (const size of next.sizes ?? [next.text.length]) sizes.push(size);
  const text = last.text + next.text;
  const joined = { ...last, text, tokens: last.tokens + next.tokens, sizes };
  return isScored ? { ...joined, logprobs } : joined;
}
