import { expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { collect, type Answer } from "../../../scripts/chat-corpus/collect.ts";
import { ChatTemplate } from "../../../src/chat/chat-template.ts";
import {
  DEFAULT_CHAT_OPTIONS,
  type ChatOptions,
  type Message,
  type Tool,
} from "../../../src/chat/conversation.ts";
import { detectFormat } from "../../../src/chat/detection/detect-format.ts";
import { isReasoningOpen } from "../../../src/chat/detection/reasoning-tags.ts";
import { createParser } from "../../../src/chat/parser/parser.ts";
import { sharedPath } from "../../support/shared.ts";

const NOW = new Date(2024, 5, 15, 12);

const TOOLS: readonly Tool[] = [
  { name: "noargs", description: "None.", parameters: { type: "object", properties: {} } },
  {
    name: "many",
    description: "Many.",
    parameters: {
      type: "object",
      properties: {
        s: { type: "string" },
        i: { type: "integer" },
        n: { type: "number" },
        b: { type: "boolean" },
        l: { type: "array", items: { type: "string" } },
        m: { type: "array", items: { type: "array", items: { type: "integer" } } },
        o: { type: "object", properties: { a: { type: "object" } } },
        u: { anyOf: [{ type: "string" }, { type: "integer" }] },
        e: { enum: ["red", "blue"] },
      },
    },
  },
].map((tool) => ({ ...tool, strict: false }));

const many = (args: Readonly<Record<string, unknown>>): Answer["calls"][number] => ({
  name: "many",
  args,
  id: "",
});

const NOARGS = { name: "noargs", args: {}, id: "" };

/** Values that some notation or other could break. */
const VALUES: readonly Readonly<Record<string, unknown>>[] = [
  ...["", "x", "42", "null", '{"a": 1}', '"quoted"', "a'b\"c", "one\ntwo", "日本語 😀"].map(
    asString,
  ),
  ...["<b>&amp;</b>", "a,b=c; d:e (f) [g] {h}", "</tool", "```js\nx\n```", "{{x}}"].map(asString),
  ...[0, -5, 1e9].map((i) => ({ i })),
  ...[1.5, -0.25, 1e-7].map((n) => ({ n })),
  ...[true, false].map((b) => ({ b })),
  ...[[], ["a", "b,c"], ['d"e', ""]].map((l) => ({ l })),
  ...[[[1, 2], [3]], []].map((m) => ({ m })),
  ...[{ a: { b: [{ c: "x" }] } }, {}].map((o) => ({ o })),
  ...["five", 5].map((u) => ({ u })),
  { e: "red", s: "two", i: 3 },
];

function asString(s: string): Readonly<Record<string, unknown>> {
  return { s };
}

const ANSWERS: readonly Answer[] = [
  { text: "Hello, world!\nSo?", reasoning: "", calls: [] },
  { text: "Use `a < b`.", reasoning: 'if a < b: {"x": 1}\n\n[y]', calls: [] },
  { text: "One moment.", reasoning: "", calls: [many({ s: "x" })] },
  { text: "One moment.", reasoning: "Why?", calls: [many({ s: "x" }), NOARGS, many({ i: 2 })] },
  { text: "", reasoning: "Why?", calls: [NOARGS] },
  ...VALUES.map((value) => ({ text: "", reasoning: "", calls: [many(value)] })),
];

const plain = { reasoning: null, toolCalls: [], toolCallId: null, name: null };
const QUESTION: Message = {
  ...plain,
  role: "user",
  content: [{ type: "text", text: "A question." }],
};

const turnOf = ({ text, reasoning, calls }: Answer): Message => ({
  ...plain,
  role: "assistant",
  content: text === "" ? null : [{ type: "text", text }],
  reasoning: reasoning === "" ? null : reasoning,
  toolCalls: calls.map(({ name, args }, index) => ({
    id: `00000000${index + 1}`,
    name,
    arguments: JSON.stringify(args),
  })),
});

/** Texts behind which a template goes on with the next turn. */
const TURN_ENDS =
  /<\|im_end\|>|<\|eot_id\|>|<\|eot\|>|<\|END_OF_TURN_TOKEN\|>|<\|start_header_id\|>|<end_of_turn>|<SPECIAL_12>|<\|assistant_end\|>|<\|return\|>|<\|end_of_text\|>|<sep>|<turn\|>|<seed:eos>|\[e~\[|<｜end▁of▁sentence｜>|<｜hy_eos:opensource｜>|<\|user\|>|<\|observation\|>|<end_of_sentence>|<\|eom_id\|>|(?:<\|end\|>|<\|eom\|>|<\/s>)\s*$/;

type Render = (messages: readonly Message[], options: ChatOptions) => Promise<string>;

/**
 * What the template's own turn looks like behind its prompt. null where it cannot be told, or where
 * the template leaves something out.
 */
async function outputOf(render: Render, answer: Answer) {
  const options: ChatOptions = {
    ...DEFAULT_CHAT_OPTIONS,
    enableThinking: answer.reasoning !== "",
    tools: TOOLS,
    toolChoice: { kind: "auto", allowed: null },
  };
  const history = { ...options, addGenerationPrompt: false };
  try {
    const prompt = await render([QUESTION], options);
    const whole = await render([QUESTION, turnOf(answer)], history);
    if (!whole.startsWith(prompt)) return null;
    const output = whole.slice(prompt.length).split(TURN_ENDS, 1)[0] ?? "";
    const parts = [answer.text, answer.reasoning, ...answer.calls.map(({ name }) => name)];
    // One family writes the text beside calls as reasoning.
    const isMoved = answer.text !== "" && output.includes(`analysis<|message|>${answer.text}`);
    return !isMoved && parts.every((part) => output.includes(part)) ? { prompt, output } : null;
  } catch {
    return null;
  }
}

const folder = sharedPath("templates");

test.skipIf(folder === null)(
  "what a template writes for a turn is read back as that turn",
  async () => {
    const wrong: string[] = [];
    let checked = 0;
    for (const file of readdirSync(folder ?? "").filter((name) => name.endsWith(".jinja"))) {
      const source = readFileSync(join(folder ?? "", file), "utf8");
      const template = new ChatTemplate(source);
      const render: Render = async (messages, options) =>
        template.renderChat({ messages, options, bosText: "", eosText: "" }, NOW);
      const { format, reasoning } = await detectFormat({
        source,
        render,
        singleTokens: new Set(),
      });
      const tags = format.reasoning === null ? reasoning : null;
      for (const [index, answer] of ANSWERS.entries()) {
        const turn = await outputOf(render, answer);
        if (turn === null) continue;
        const open = tags !== null && isReasoningOpen(turn.prompt, tags);
        const parser = createParser({
          format,
          reasoning: tags === null ? null : { tags, open },
          tools: TOOLS,
          parallel: true,
          newId: () => "",
        });
        const got = collect(parser, turn.output, index % 2);
        checked += 1;
        const told = { ...got, calls: got.calls.map((call) => ({ ...call, id: "" })) };
        if (Bun.deepEquals(told, answer)) continue;
        wrong.push(`${file}: ${JSON.stringify(turn.output)} is read as ${JSON.stringify(told)}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(checked).toBeGreaterThan(1000);
  },
  60_000,
);
