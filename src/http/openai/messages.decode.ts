import type { ContentPart, Message, ToolCall } from "../../chat/conversation.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { missing } from "../refusals.ts";
import type {
  AssistantMessage,
  ChatMessage,
  MessageContent,
  ToolMessage,
} from "./messages.schema.ts";

/** A call of an assistant turn that no later message has answered yet. */
interface OpenCall {
  id: string;
  name: string;
}

/**
 * The conversation behind the wire's messages.
 * @param model Name of the model for messages about what it cannot take.
 */
export function toMessages(messages: readonly ChatMessage[], model: string): Message[] {
  const open: OpenCall[] = [];
  return messages.map((message, index) => {
    const path = `messages[${index}]`;
    if (message.role === "assistant") {
      const decoded = toAssistant(message, path);
      open.push(...decoded.toolCalls);
      return decoded;
    }
    if (message.role === "tool") {
      const toolCallId = answeredCall(message, open, path);
      return { ...base("tool", parts(message.content, path, model), message.name), toolCallId };
    }
    if (message.role === "function") {
      const toolCallId = takeByName(open, message.name);
      return { ...base("tool", text(message.content ?? ""), message.name), toolCallId };
    }
    return base(message.role, parts(message.content, path, model), message.name);
  });
}

function base(
  role: Message["role"],
  content: Message["content"],
  name: string | null | undefined,
): Message {
  return { role, content, reasoning: null, toolCalls: [], toolCallId: null, name: name ?? null };
}

const text = (value: string): ContentPart[] => [{ type: "text", text: value.toWellFormed() }];

/** Adjacent texts are one text: parts are joined without a separator. */
function parts(content: MessageContent, path: string, model: string): ContentPart[] {
  if (typeof content === "string") return text(content);
  let joined = "";
  for (const [index, part] of (content ?? []).entries()) {
    switch (part.type) {
      case "text":
      case "input_text":
      case "output_text":
        joined += part.text;
        break;
      case "refusal":
        joined += part.refusal;
        break;
      default:
        throw invalidRequest(
          `${path}.content[${index}].type`,
          "unsupported_input_modality",
          `Invalid content type. ${part.type} is only supported by ${needed(part.type)} models; ` +
            `'${model}' does not support ${plural(part.type)}.`,
        );
    }
  }
  return text(joined);
}

const needed = (type: string): string =>
  type.includes("image") ? "vision" : type.includes("audio") ? "audio" : "multimodal";

const plural = (type: string): string =>
  ({ image_url: "images", input_image: "images", input_audio: "audio", file: "files" })[type] ??
  "videos";

function toAssistant(message: AssistantMessage, path: string): Message {
  const toolCalls = toToolCalls(message, path);
  const { content } = message;
  if (content === undefined && toolCalls.length === 0 && message.refusal == null) {
    throw missing(`${path}.content`);
  }
  const isEmpty = content === null || content === undefined || content.length === 0;
  const answer = isEmpty ? (message.refusal ?? "") : content;
  return {
    ...base("assistant", null, message.name),
    content: toolCalls.length > 0 && answer === "" ? null : parts(answer, path, ""),
    reasoning: (message.reasoning_content ?? message.reasoning ?? null)?.toWellFormed() ?? null,
    toolCalls,
  };
}

function toToolCalls(message: AssistantMessage, path: string): ToolCall[] {
  const calls = (message.tool_calls ?? []).map((call, index) => {
    if ((call.type ?? "function") !== "function") {
      throw invalidRequest(
        `${path}.tool_calls[${index}].type`,
        "unsupported_parameter",
        "Only tool calls of type 'function' are supported.",
      );
    }
    return {
      id: call.id,
      name: call.function.name,
      arguments: call.function.arguments.toWellFormed(),
    };
  });
  const legacy = message.function_call;
  if (calls.length > 0 || !legacy) return calls;
  return [
    { id: `call_${legacy.name}`, name: legacy.name, arguments: legacy.arguments.toWellFormed() },
  ];
}

/** The id of the call that a tool message answers; an unknown id is history that was cut. */
function answeredCall(message: ToolMessage, open: OpenCall[], path: string): string {
  const id = message.tool_call_id;
  if (id === undefined || id === null) {
    const only = open.length === 1 ? open.pop() : undefined;
    if (!only) throw missing(`${path}.tool_call_id`);
    return only.id;
  }
  const index = open.findIndex((call) => call.id === id);
  if (index !== -1) open.splice(index, 1);
  return id;
}

function takeByName(open: OpenCall[], name: string): string | null {
  const index = open.findIndex((call) => call.name === name);
  if (index === -1) return null;
  return open.splice(index, 1)[0]?.id ?? null;
}
