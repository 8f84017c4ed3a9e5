import type { Tool, ToolChoice } from "../../chat/conversation.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import { missing, unsupportedValue } from "../refusals.ts";
import type {
  ChatCompletionRequest,
  FunctionDefinition,
  ToolChoiceField,
  ToolDefinition,
} from "./chat-completions.schema.ts";

const TOOL_NAME = /^[a-zA-Z0-9_.:/-]{1,64}$/;

export interface DecodedTools {
  tools: Tool[];
  toolChoice: ToolChoice;
  /** The request used `functions`: calls are answered in that older form. */
  isLegacy: boolean;
}

type ToolFields = Pick<
  ChatCompletionRequest,
  "tools" | "tool_choice" | "functions" | "function_call"
>;

/**
 * Tools and the choice among them, each in the present or the deprecated form. Where both forms of
 * the choice are sent, the one that goes with the list counts.
 */
export function toTools(body: ToolFields): DecodedTools {
  const listed = body.tools ?? [];
  const legacy = listed.length === 0 ? (body.functions ?? []) : [];
  const isLegacy = legacy.length > 0;
  const tools = isLegacy
    ? legacy.map((definition, index) => toTool(definition, `functions[${index}]`))
    : listed.map((tool, index) => toFunctionTool(tool, `tools[${index}]`));
  refuseTwins(tools, isLegacy ? (index) => `functions[${index}].name` : toolName);
  const present = body.tool_choice ?? null;
  const deprecated = body.function_call ?? null;
  const toolChoice =
    deprecated !== null && (isLegacy || present === null)
      ? legacyChoice(deprecated, tools)
      : toToolChoice(present, tools);
  return { tools, toolChoice, isLegacy };
}

const toolName = (index: number): string => `tools[${index}].function.name`;

function toFunctionTool(tool: ToolDefinition, path: string): Tool {
  if (tool.type !== "function") {
    throw invalidRequest(
      `${path}.type`,
      "unsupported_parameter",
      "Only tools of type 'function' are supported.",
    );
  }
  if (!tool.function) throw missing(`${path}.function`);
  return toTool(tool.function, `${path}.function`);
}

function toTool(definition: FunctionDefinition, path: string): Tool {
  if (!TOOL_NAME.test(definition.name)) {
    throw invalidRequest(
      `${path}.name`,
      "invalid_value",
      `Invalid '${path}.name': string does not match pattern. Expected a string that matches the ` +
        `pattern '${TOOL_NAME.source}'.`,
    );
  }
  return {
    name: definition.name,
    description: definition.description?.toWellFormed() ?? null,
    parameters: definition.parameters ?? null,
    strict: definition.strict ?? false,
  };
}

function refuseTwins(tools: readonly Tool[], pathOf: (index: number) => string): void {
  const seen = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    if (seen.has(name)) {
      throw invalidRequest(
        pathOf(index),
        "invalid_value",
        `Invalid '${pathOf(index)}': the name '${name}' is used twice.`,
      );
    }
    seen.add(name);
  }
}

function toToolChoice(choice: ToolChoiceField | null, tools: readonly Tool[]): ToolChoice {
  if (choice === null) return tools.length > 0 ? { kind: "auto", allowed: null } : { kind: "none" };
  if (typeof choice === "string") return wordChoice(choice, tools);
  if (choice.type === "custom") {
    throw invalidRequest(
      "tool_choice.type",
      "unsupported_parameter",
      "Custom tools are not supported.",
    );
  }
  if (tools.length === 0) throw choiceWithoutTools();
  if (choice.type === "function") {
    checkKnown(choice.function.name, tools);
    return { kind: "named", name: choice.function.name };
  }
  const allowed = choice.allowed_tools.tools.map((tool) => tool.function.name);
  for (const name of allowed) checkKnown(name, tools);
  return { kind: choice.allowed_tools.mode, allowed };
}

function wordChoice(word: string, tools: readonly Tool[]): ToolChoice {
  switch (word) {
    case "none":
      return { kind: "none" };
    case "auto":
      return tools.length > 0 ? { kind: "auto", allowed: null } : { kind: "none" };
    case "required":
      if (tools.length === 0) throw choiceWithoutTools();
      return { kind: "required", allowed: null };
    default:
      throw unsupportedValue("tool_choice", word, ["none", "auto", "required"]);
  }
}

/** `function_call`, which knows no way to require any call. */
function legacyChoice(choice: string | { name: string }, tools: readonly Tool[]): ToolChoice {
  if (typeof choice !== "string") {
    if (tools.length === 0) throw choiceWithoutTools("function_call", "functions");
    checkKnown(choice.name, tools, "function_call");
    return { kind: "named", name: choice.name };
  }
  if (choice === "none" || choice === "auto") return wordChoice(choice, tools);
  throw unsupportedValue("function_call", choice, ["none", "auto"]);
}

function choiceWithoutTools(param = "tool_choice", list = "tools") {
  return invalidRequest(
    param,
    "misplaced_parameter",
    `Invalid value for '${param}': '${param}' is only allowed when '${list}' are specified.`,
  );
}

function checkKnown(name: string, tools: readonly Tool[], param = "tool_choice"): void {
  if (tools.some((tool) => tool.name === name)) return;
  throw invalidRequest(
    param,
    "invalid_value",
    `Invalid value for '${param}': no tool is named '${printable(name)}'.`,
  );
}
