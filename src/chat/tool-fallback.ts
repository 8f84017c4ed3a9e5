import type { Tool, ToolCall } from "./conversation.ts";
import { isDict, parseJson } from "./jinja/value.ts";
import { repr, str } from "./jinja/python-text.ts";

const EXAMPLE: ToolCall = { id: "", name: "tool_name", arguments: '{"key": "some value"}' };

/**
 * Tools for models whose template does not show them: the definitions stand in the system prompt.
 * @param example A call as the template writes it; null = it writes none, and `callText` does.
 */
export function toolInstructions(
  source: string,
  tools: readonly Tool[],
  example: string | null,
): string {
  const definitions = tools.map(({ name, description, parameters }) =>
    JSON.stringify({
      name,
      ...(description === null ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    }),
  );
  return [
    "You can call tools. Each line below describes one as JSON:",
    ...definitions,
    "",
    "To call a tool, answer with exactly this, with the tool's own name and arguments filled in:",
    example ?? callText(source, EXAMPLE),
    "The result follows in the next message. Call a tool only when it helps; otherwise answer as usual.",
  ].join("\n");
}

/** Texts in the source of templates whose models write calls in Python. */
const PYTHON_SIGNS = ["<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["];

/** An earlier call as text, in the notation the template itself speaks of. */
export function callText(source: string, { name, arguments: args }: ToolCall): string {
  const json = `{"name": ${JSON.stringify(name)}, "arguments": ${args.trim() === "" ? "{}" : args}}`;
  if (source.includes("<tool_call>")) return `<tool_call>\n${json}\n</tool_call>`;
  if (source.includes("<|tool_call|>")) return `<|tool_call|>[${json}]`;
  if (PYTHON_SIGNS.some((sign) => source.includes(sign))) {
    return `<|tool_call_start|>[${name}(${pythonArguments(args)})]<|tool_call_end|>`;
  }
  return `[TOOL_REQUEST]${json}[END_TOOL_REQUEST]`;
}

/** JSON arguments as Python's keyword arguments; text that is no JSON object stays as it is. */
function pythonArguments(args: string): string {
  try {
    const value = parseJson(args);
    if (!isDict(value)) return args;
    return [...value].map(([key, item]) => `${str(key)}=${repr(item)}`).join(", ");
  } catch {
    return args;
  }
}

/** The result of a call as the text of a user message. */
export function resultText(name: string | null, text: string): string {
  return `[TOOL_RESULT]${name === null ? "" : ` ${name}`}\n${text}\n[END_TOOL_RESULT]`;
}
