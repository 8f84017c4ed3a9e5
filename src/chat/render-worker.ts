/**
 * The thread in which templates run. Models bring their templates, so they are hostile until proven
 * otherwise: this thread is ended when one does not return.
 */
import { ChatTemplate } from "./chat-template.ts";
import type { RenderReply, RenderRequest } from "./render-protocol.ts";

declare const self: Worker;

let compiled: { source: string; template: ChatTemplate } | null = null;

self.addEventListener("message", (event: MessageEvent<string>) => {
  // The sender is our own program; see TemplateThread.
  const request = JSON.parse(event.data) as RenderRequest;
  self.postMessage(JSON.stringify(answer(request)), []);
});

function answer({ source, nowMs, chat }: RenderRequest): RenderReply {
  try {
    if (compiled?.source !== source) compiled = { source, template: new ChatTemplate(source) };
    const { template } = compiled;
    const text = template.renderChat(chat, new Date(nowMs));
    return { text, warnings: template.warningsOf(chat) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
