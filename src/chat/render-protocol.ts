import type { ChatInput } from "./chat-template.ts";

/** To the worker, as JSON text. It answers in order. */
export interface RenderRequest {
  source: string;
  /** Milliseconds since the epoch, for `strftime_now`. */
  nowMs: number;
  chat: ChatInput;
}

/** A prompt, and where it differs from what was asked: each begins with the path of a field. */
export interface RenderedText {
  text: string;
  warnings: readonly string[];
}

/** From the worker, as JSON text. `error` is a sentence about the template or its own message. */
export type RenderReply = RenderedText | { error: string };
