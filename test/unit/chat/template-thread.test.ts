import { afterEach, expect, test } from "bun:test";
import { createChatTemplates } from "../../../src/chat/chat-templates.ts";
import { DEFAULT_CHAT_OPTIONS, type Message } from "../../../src/chat/conversation.ts";
import { hasCode } from "../../../src/lib/errors.ts";
import { systemClock } from "../../../src/lib/clock.ts";

const templates = createChatTemplates(systemClock);
afterEach(() => templates.close());

const hello: Message = {
  role: "user",
  content: [{ type: "text", text: "hello" }],
  reasoning: null,
  toolCalls: [],
  toolCallId: null,
  name: null,
};

/** Loops for minutes without making anything: only ending its thread stops it. */
const ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";

/** Renders one turn by a template; `kwargs` are its further variables. */
const render = (source: string, kwargs: Record<string, unknown> = {}): Promise<string> =>
  templates.renderProbe(source, [hello], { ...DEFAULT_CHAT_OPTIONS, templateKwargs: kwargs });

async function failure(rendering: Promise<string>): Promise<string> {
  const error: unknown = await rendering.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!hasCode(error, "invalid_request")) throw new Error(`unexpected: ${String(error)}`);
  expect(error.details.reason).toBe("chat_template_error");
  return error.message;
}

test("T-D4: a template that does not end is refused, and its thread renders again", async () => {
  const source = `{% if hang %}${ENDLESS}{% endif %}fine`;
  expect(await failure(render(source, { hang: true }))).toContain("longer than");
  expect(await render(source)).toBe("fine");
});

test("T-D4: while one template hangs, others render and timers run", async () => {
  const order: string[] = [];
  const hanging = failure(render(ENDLESS)).then(() => order.push("hung"));
  await render("{{ 'a' }}").then((text) => order.push(text));
  await Bun.sleep(0).then(() => order.push("timer"));
  await render("{{ 'b' }}").then((text) => order.push(text));
  await hanging;
  expect(order).toEqual(["a", "timer", "b", "hung"]);
});

test("the message of a template that raises reaches the caller", async () => {
  const refused = render("{{ raise_exception('After tools, speak.') }}");
  expect(await failure(refused)).toBe("Chat template: After tools, speak.");
});

test.each([
  { name: "broken syntax", source: "{% if %}" },
  { name: "too much output", source: "{{ 'a' * 10 ** 9 }}" },
  { name: "deep recursion", source: "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}" },
  { name: "deep nesting", source: `{{ ${"[".repeat(100_000)} }}` },
  { name: "a huge source", source: "x".repeat(5 * 1024 * 1024) },
])("T-D4: $name is a refusal, and the thread lives on", async ({ source }) => {
  expect(await failure(render(source))).not.toBe("");
  expect(await failure(render(source))).not.toBe("");
});

test("answers come to those who asked, however many ask at once", async () => {
  const asked = Array.from({ length: 60 }, (_, index) => index);
  const texts = await Promise.all(
    asked.map((index) => render(`{{ n }} of ${index % 7}`, { n: index })),
  );
  expect(texts).toEqual(asked.map((index) => `${index} of ${index % 7}`));
});

test.each([
  { name: "is left to the vocabulary that adds it", addsBos: true, prompt: "hello" },
  { name: "stays where the vocabulary adds none", addsBos: false, prompt: "<s>hello" },
])("the BOS text of a template $name", async ({ addsBos, prompt }) => {
  const lease = {
    model: { chatTemplate: "{{ bos_token }}{{ messages[0].content }}" },
    info: { bosText: "<s>", eosText: "</s>", addsBos },
  };
  const { signal } = new AbortController();
  const { text } = await templates.render(lease, [hello], DEFAULT_CHAT_OPTIONS, signal);
  expect(text).toBe(prompt);
});

test("a system message that the template shows elsewhere is told with the prompt", async () => {
  const first =
    "{% if m.role == 'system' and not loop.first %}{{ raise_exception('no') }}{% endif %}";
  const lease = {
    model: { chatTemplate: `{% for m in messages %}${first}{{ m.content }} {% endfor %}` },
    info: { bosText: "", eosText: "", addsBos: false },
  };
  const { signal } = new AbortController();
  const said = [hello, { ...hello, role: "system" as const }];
  const { warnings } = await templates.render(lease, said, DEFAULT_CHAT_OPTIONS, signal);
  expect(warnings).toEqual([expect.stringMatching(/^messages: .* joined the first$/)]);
});

test("without a template of its own a model reads ChatML", async () => {
  const lease = {
    model: { chatTemplate: null },
    info: { bosText: "", eosText: "", addsBos: false },
  };
  const { signal } = new AbortController();
  const { text } = await templates.render(lease, [hello], DEFAULT_CHAT_OPTIONS, signal);
  expect(text).toBe("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
});
