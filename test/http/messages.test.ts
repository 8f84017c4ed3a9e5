import { describe, expect, test } from "bun:test";
import { chatInput, chatRefusal } from "./chat-request.ts";

const user = { role: "user", content: "Hi" };
const call = (id: string, name = "f") => ({
  id,
  type: "function",
  function: { name, arguments: "{}" },
});

describe("messages", () => {
  const plain = { reasoning: null, toolCalls: [], toolCallId: null, name: null };
  const words = (text: string) => [{ type: "text" as const, text }];
  const rows: { name: string; sent: object[]; read: object[] }[] = [
    {
      name: "every simple role",
      sent: [
        { role: "system", content: "S" },
        { role: "developer", content: [{ type: "text", text: "D" }] },
        { role: "user", content: "U", name: "ann" },
        { role: "assistant", content: "A", reasoning_content: "R" },
      ],
      read: [
        { ...plain, role: "system", content: words("S") },
        { ...plain, role: "developer", content: words("D") },
        { ...plain, role: "user", content: words("U"), name: "ann" },
        { ...plain, role: "assistant", content: words("A"), reasoning: "R" },
      ],
    },
    {
      name: "parts of any name are joined without a separator",
      sent: [
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "input_text", text: "b" },
            { type: "output_text", text: "c" },
          ],
        },
        { role: "assistant", content: [{ type: "refusal", refusal: "no" }], reasoning: "R" },
      ],
      read: [
        { ...plain, role: "user", content: words("abc") },
        { ...plain, role: "assistant", content: words("no"), reasoning: "R" },
      ],
    },
    ...[null, undefined, "", []].map((content) => ({
      name: `an assistant turn of calls whose content is ${JSON.stringify(content)}`,
      sent: [{ role: "assistant", content, tool_calls: [call("c1")] }],
      read: [
        {
          ...plain,
          role: "assistant",
          content: null,
          toolCalls: [{ id: "c1", name: "f", arguments: "{}" }],
        },
      ],
    })),
    ...[null, "", []].map((content) => ({
      name: `an assistant turn without calls whose content is ${JSON.stringify(content)}`,
      sent: [{ role: "assistant", content, tool_calls: [] }],
      read: [{ ...plain, role: "assistant", content: words("") }],
    })),
    {
      name: "a tool answer is paired by its id, by being the only one, or not at all",
      sent: [
        { role: "assistant", content: null, tool_calls: [call("c1"), call("c2")] },
        { role: "tool", tool_call_id: "c2", content: "2" },
        { role: "tool", content: "1" },
        { role: "tool", tool_call_id: "cut", content: [{ type: "text", text: "old" }] },
      ],
      read: [
        expect.objectContaining({ role: "assistant" }),
        { ...plain, role: "tool", content: words("2"), toolCallId: "c2" },
        { ...plain, role: "tool", content: words("1"), toolCallId: "c1" },
        { ...plain, role: "tool", content: words("old"), toolCallId: "cut" },
      ],
    },
    {
      name: "the deprecated function form",
      sent: [
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{" } },
        { role: "function", name: "f", content: "42" },
        { role: "function", name: "g", content: null },
      ],
      read: [
        {
          ...plain,
          role: "assistant",
          content: null,
          toolCalls: [{ id: "call_f", name: "f", arguments: "{" }],
        },
        { ...plain, role: "tool", content: words("42"), toolCallId: "call_f", name: "f" },
        { ...plain, role: "tool", content: words(""), toolCallId: null, name: "g" },
      ],
    },
    {
      name: "unparsable arguments in history",
      sent: [
        {
          role: "assistant",
          tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{oops" } }],
        },
      ],
      read: [expect.objectContaining({ toolCalls: [{ id: "c", name: "f", arguments: "{oops" }] })],
    },
  ];
  test.each(rows)("$name", async ({ sent, read }) => {
    const { messages } = await chatInput({ messages: sent });
    expect(messages as object[]).toEqual(read);
  });

  const refusals: { messages: unknown[]; code: string; param: string }[] = [
    { messages: ["x"], code: "invalid_type", param: "messages[0]" },
    { messages: [{}], code: "missing_required_parameter", param: "messages[0].role" },
    { messages: [{ role: "bot", content: "x" }], code: "invalid_value", param: "messages[0].role" },
    { messages: [{ role: 5 }], code: "invalid_type", param: "messages[0].role" },
    {
      messages: [user, { role: "user" }],
      code: "missing_required_parameter",
      param: "messages[1].content",
    },
    {
      messages: [{ role: "user", content: null }],
      code: "invalid_type",
      param: "messages[0].content",
    },
    {
      messages: [{ role: "user", content: [] }],
      code: "empty_array",
      param: "messages[0].content",
    },
    {
      messages: [{ role: "system", content: [] }],
      code: "empty_array",
      param: "messages[0].content",
    },
    {
      messages: [{ role: "user", content: [{ text: "x" }] }],
      code: "missing_required_parameter",
      param: "messages[0].content[0].type",
    },
    {
      messages: [{ role: "user", content: [{ type: "text" }] }],
      code: "missing_required_parameter",
      param: "messages[0].content[0].text",
    },
    {
      messages: [{ role: "user", content: ["x"] }],
      code: "invalid_type",
      param: "messages[0].content[0]",
    },
    {
      messages: [{ role: "system", content: [{ type: "image_url", image_url: "x" }] }],
      code: "invalid_value",
      param: "messages[0].content[0].type",
    },
    {
      messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }],
      code: "unsupported_input_modality",
      param: "messages[0].content[0].type",
    },
    {
      messages: [{ role: "tool", tool_call_id: "c", content: [{ type: "image_url" }] }],
      code: "unsupported_input_modality",
      param: "messages[0].content[0].type",
    },
    {
      messages: [{ role: "assistant" }],
      code: "missing_required_parameter",
      param: "messages[0].content",
    },
    {
      messages: [{ role: "assistant", tool_calls: [] }],
      code: "missing_required_parameter",
      param: "messages[0].content",
    },
    {
      messages: [{ role: "tool", content: "x" }],
      code: "missing_required_parameter",
      param: "messages[0].tool_call_id",
    },
    {
      messages: [
        { role: "assistant", tool_calls: [call("a"), call("b")] },
        { role: "tool", content: "x" },
      ],
      code: "missing_required_parameter",
      param: "messages[1].tool_call_id",
    },
    {
      messages: [{ role: "function", content: "x" }],
      code: "missing_required_parameter",
      param: "messages[0].name",
    },
    {
      messages: [{ role: "assistant", tool_calls: [{ id: "c", function: { name: "f" } }] }],
      code: "missing_required_parameter",
      param: "messages[0].tool_calls[0].function.arguments",
    },
    {
      messages: [{ role: "assistant", tool_calls: [{ ...call("c"), type: "custom" }] }],
      code: "unsupported_parameter",
      param: "messages[0].tool_calls[0].type",
    },
  ];
  test.each(refusals)("refuses $messages", async ({ messages, code, param }) => {
    expect(await chatRefusal({ messages })).toEqual({ status: 400, code, param });
  });
});
