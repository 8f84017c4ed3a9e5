import type { Clock } from "../lib/clock.ts";
import { isBug } from "./bug.ts";
import { LATE_COMMIT_MS, SSE_PING_MS, SSE_STALL_MS } from "../lib/limits.ts";
import { settlesWithin } from "./settles-within.ts";

const encoder = new TextEncoder();
const PING = encoder.encode(": ping\n\n");

/** The end mark of the OpenAI dialect. */
export const DONE_FRAME = "data: [DONE]\n\n";

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
  connection: "keep-alive",
};

export interface SseOptions {
  clock: Clock;
  /** Aborted when the reader leaves or stalls; the frames' source ends because of it. */
  abort: AbortController;
  /** A failure after the status was sent, as the last frame. */
  encodeError(error: unknown): string;
  /** The stream is over, for whatever reason. Of one whose reader left `error` is a bug or null. */
  onEnd(end: { bytes: number; error: unknown; stalled: boolean }): void;
}

/**
 * Streams complete frames (`data: ...\n\n`) as an answer. The status is committed as late as
 * possible: a failure before the first frame is thrown and keeps its own status, unless the first
 * frame takes longer than 15 s. Silence is filled with comments. A reader that goes away, or does
 * not take one frame for 60 s, aborts the source.
 *
 * @param frames Ends after the dialect's own end mark. A failure becomes the last frame.
 */
export async function sseResponse(
  frames: AsyncGenerator<string, void, void>,
  options: SseOptions,
): Promise<Response> {
  const first = frames.next();
  const isEarly = await settlesWithin(first, LATE_COMMIT_MS, options.clock);
  if (isEarly) await first;
  return new Response(new FrameStream(frames, first, !isEarly, options).readable(), {
    headers: HEADERS,
  });
}

type NextFrame = Promise<IteratorResult<string, void>>;

/** One answer on its way: pulls a frame when the reader has room. */
class FrameStream {
  readonly #frames: AsyncGenerator<string, void, void>;
  readonly #options: SseOptions;
  #next: NextFrame | null;
  /** The frame that was asked for last. */
  #asked: NextFrame;
  #pingFirst: boolean;
  #lastWriteMs: number;
  #isPulling = false;
  #isOver = false;
  #bytes = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(
    frames: AsyncGenerator<string, void, void>,
    first: NextFrame,
    pingFirst: boolean,
    options: SseOptions,
  ) {
    this.#frames = frames;
    this.#next = first;
    this.#asked = first;
    this.#pingFirst = pingFirst;
    this.#options = options;
    this.#lastWriteMs = options.clock.monotonicMs();
  }

  readable(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => this.#watch(controller),
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#abandon(false),
    });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#pingFirst) {
      this.#pingFirst = false;
      this.#write(controller, PING);
      return;
    }
    this.#isPulling = true;
    this.#asked = this.#next ?? this.#frames.next();
    this.#next = null;
    try {
      const item = await this.#asked;
      if (this.#isOver) return;
      if (item.done) this.#close(controller, null);
      else this.#write(controller, encoder.encode(item.value));
    } catch (error) {
      if (this.#isOver) return;
      this.#write(controller, encoder.encode(this.#options.encodeError(error)));
      this.#close(controller, error);
    } finally {
      this.#isPulling = false;
    }
  }

  #write(controller: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array): void {
    controller.enqueue(bytes);
    this.#bytes += bytes.length;
    this.#lastWriteMs = this.#options.clock.monotonicMs();
  }

  #close(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    controller.close();
    this.#stop();
    this.#options.onEnd({ bytes: this.#bytes, error, stalled: false });
  }

  /** Nobody reads it any more. The end is told when the source has ended, which counts to its end. */
  async #abandon(stalled: boolean): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#options.abort.abort();
    const error = await this.#ended();
    this.#options.onEnd({ bytes: this.#bytes, error, stalled });
  }

  /** @returns The bug that the source met when it was told to end; null = none. */
  async #ended(): Promise<unknown> {
    const { signal } = this.#options.abort;
    const ends = await Promise.allSettled([this.#asked, this.#frames.return(undefined)]);
    const failures = ends.flatMap((end): unknown[] =>
      end.status === "rejected" ? [end.reason] : [],
    );
    return failures.find((error) => isBug(error, signal)) ?? null;
  }

  #stop(): void {
    this.#isOver = true;
    this.#cancelTimer();
  }

  /** One timer per stream, not per frame: looks whether the source or the reader is silent. */
  #watch(controller: ReadableStreamDefaultController<Uint8Array>, delayMs = SSE_PING_MS): void {
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      const silentMs = this.#options.clock.monotonicMs() - this.#lastWriteMs;
      if (!this.#isPulling && silentMs >= SSE_STALL_MS) {
        this.#stall(controller);
        return;
      }
      if (this.#isPulling && silentMs >= SSE_PING_MS) this.#write(controller, PING);
      const dueMs = this.#isPulling ? SSE_PING_MS - silentMs : SSE_PING_MS;
      this.#watch(controller, dueMs > 0 ? dueMs : SSE_PING_MS);
    });
  }

  #stall(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.error(new Error("the reader stalled"));
    void this.#abandon(true);
  }
}
