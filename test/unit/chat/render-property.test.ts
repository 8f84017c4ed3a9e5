import { expect, test } from "bun:test";
import { ChatTemplate } from "../../../src/chat/chat-template.ts";
import { CHATML_TEMPLATE } from "../../../src/chat/chat-templates.ts";
import { DEFAULT_CHAT_OPTIONS, type Message } from "../../../src/chat/conversation.ts";
import { randomSource } from "../../support/random-schema.ts";

const NOW = new Date(2026, 0, 2);

const ALPHABET = [
  "a",
  " ",
  "\n",
  "é",
  "😀",
  "{",
  "}",
  "{{ x }}",
  "{% if %}",
  "'",
  '"',
  "\\",
  "<",
  "</think>",
  "\u0000",
  "\ud800",
];

/** A legal conversation: turns of people, answers, calls with their results, in any number. */
function conversation(seed: number): Message[] {
  const random = randomSource(seed);
  const text = (index: number): string =>
    `[${index}:${Array.from({ length: random(8) }, () => ALPHABET[random(ALPHABET.length)]).join("")}]`;
  const plain = { reasoning: null, toolCalls: [], toolCallId: null, name: null };
  const content = (index: number): Message["content"] => [{ type: "text", text: text(index) }];
  const messages: Message[] = [];
  if (random(2) === 0) messages.push({ ...plain, role: "system", content: content(0) });
  for (let turn = 0; turn <= random(6); turn += 1) {
    messages.push({ ...plain, role: "user", content: content(messages.length) });
    if (random(3) === 0) {
      const id = `call_${turn}`;
      const toolCalls = [
        { id, name: `tool_${turn}`, arguments: JSON.stringify({ v: text(turn) }) },
      ];
      messages.push({ ...plain, role: "assistant", content: null, toolCalls });
      messages.push({ ...plain, role: "tool", content: content(messages.length), toolCallId: id });
    }
    messages.push({ ...plain, role: "assistant", content: content(messages.length) });
  }
  return messages;
}

const TEMPLATES = {
  chatml: CHATML_TEMPLATE,
  withCalls: `{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% endfor %}`,
  alternating: `{% for m in messages %}{% if m.role == 'system' or (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}{% endif %}{{ m.role }}: {{ m.content }}
{% endfor %}`,
};

test.each(Object.entries(TEMPLATES))(
  "%s: whatever was said stands in the prompt, in order, the same each time",
  (_name, source) => {
    const template = new ChatTemplate(source);
    const render = (messages: readonly Message[]): string =>
      template.renderChat(
        { messages, options: DEFAULT_CHAT_OPTIONS, bosText: "", eosText: "" },
        NOW,
      );
    for (let seed = 1; seed <= 150; seed += 1) {
      const messages = conversation(seed);
      const prompt = render(messages);
      let at = 0;
      for (const { content, toolCalls } of messages) {
        const parts = [
          ...(content ?? []).map((part) => part.text),
          ...toolCalls.map((call) => call.name),
        ];
        for (const part of parts) {
          const found = prompt.indexOf(part, at);
          expect({ seed, part, found: found >= at }).toEqual({ seed, part, found: true });
          at = found + part.length;
        }
      }
      expect(render(messages)).toBe(prompt);
    }
  },
);

test("a conversation that goes on begins with the same bytes", () => {
  const template = new ChatTemplate(CHATML_TEMPLATE);
  const options = { ...DEFAULT_CHAT_OPTIONS, addGenerationPrompt: false };
  for (let seed = 1; seed <= 100; seed += 1) {
    const messages = conversation(seed);
    const render = (count: number): string =>
      template.renderChat(
        { messages: messages.slice(0, count), options, bosText: "", eosText: "" },
        NOW,
      );
    const whole = render(messages.length);
    for (let count = 1; count < messages.length; count += 1) {
      expect({ seed, count, isPrefix: whole.startsWith(render(count)) }).toEqual({
        seed,
        count,
        isPrefix: true,
      });
    }
  }
});
