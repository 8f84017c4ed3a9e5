import { createChatTemplates } from "../../src/chat/chat-templates.ts";
import { DEFAULT_CHAT_OPTIONS, type Message } from "../../src/chat/conversation.ts";
import { systemClock } from "../../src/lib/clock.ts";

export interface RenderTimes {
  messages: number;
  medianMs: number;
  p95Ms: number;
}

/** Renders one conversation again and again, as a server does for a warm model. */
export async function measureRender(
  source: string,
  messageCount: number,
  rounds = 300,
): Promise<RenderTimes> {
  const templates = createChatTemplates(systemClock);
  const messages = conversation(messageCount);
  try {
    const times: number[] = [];
    for (let round = 0; round < rounds * 1.5; round += 1) {
      const started = performance.now();
      await templates.renderProbe(source, messages, DEFAULT_CHAT_OPTIONS);
      times.push(performance.now() - started);
    }
    // The first third warms the thread up.
    const sorted = times.slice(-rounds).toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor((rounds - 1) * share)] ?? Number.NaN;
    return { messages: messageCount, medianMs: at(0.5), p95Ms: at(0.95) };
  } finally {
    templates.close();
  }
}

function conversation(count: number): Message[] {
  return Array.from({ length: count }, (_, index): Message => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: [{ type: "text", text: `Turn ${index}: ${"some words of a chat ".repeat(20)}` }],
    reasoning: null,
    toolCalls: [],
    toolCallId: null,
    name: null,
  }));
}
