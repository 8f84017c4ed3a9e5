import type { ChatInput } from "./chat-template.ts";
import type { TemplateVariables } from "./jinja/template.ts";

/** To the worker, as JSON text. It answers in order. */
export interface RenderRequest {
  source: string;
  /** Milliseconds since the epoch, for `strftime_now`. */
  nowMs: number;
  input: { kind: "chat"; chat: ChatInput } | { kind: "variables"; variables: TemplateVariables };
}

/** From the worker, as JSON text. `error` is a sentence about the template or its own message. */
export type RenderReply = { text: string } | { error: string };
