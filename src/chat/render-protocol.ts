import type { ChatInput } from "./chat-template.ts";

/** To the worker, as JSON text. It answers in order. */
export interface RenderRequest {
  source: string;
  /** Milliseconds since the epoch, for `strftime_now`. */
  nowMs: number;
  chat: ChatInput;
}

/** From the worker, as JSON text. `error` is a sentence about the template or its own message. */
export type RenderReply = { text: string } | { error: string };
