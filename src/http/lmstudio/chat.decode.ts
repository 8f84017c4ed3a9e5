import { DEFAULT_CHAT_OPTIONS, type ChatOptions } from "../../chat/conversation.ts";
import type { GenerateRequest } from "../../chat/events.ts";
import { invalidRequest, LmError } from "../../lib/errors.ts";
import { toStops } from "../openai/chat-completions.decode.ts";
import { toAdapters } from "../openai/lora-field.ts";
import { toSampling } from "../openai/sampling.decode.ts";
import { validator } from "../validate.ts";
import { ChatInput, ExtendedChat, NativeChat } from "./chat.schema.ts";
import { type StoredChat, toMessages } from "./stored-chat.ts";
import { refuseUnknown, strictValidator } from "./strict.ts";

const parseStrict = strictValidator(NativeChat);
const parseExtended = strictValidator(ExtendedChat);
const checkInput = validator(ChatInput);

const KEYS_OF_ITEMS: ReadonlyMap<unknown, ReadonlySet<string>> = new Map([
  ["text", new Set(["type", "content"])],
  ["message", new Set(["type", "content"])],
  ["image", new Set(["type", "data_url"])],
]);

/** @throws LmError invalid_request, not_implemented. */
export function parseChat(body: Record<string, unknown>, hasExtensions: boolean): ExtendedChat {
  checkForm(body["input"]);
  const request: ExtendedChat = hasExtensions ? parseExtended(body) : parseStrict(body);
  if (request.integrations && request.integrations.length > 0) {
    throw new LmError(
      "not_implemented",
      { feature: "integrations" },
      "MCP servers and plugins are not implemented: 'integrations' must be empty.",
    );
  }
  return request;
}

/** A wrong input is none of the forms it may have. */
function checkForm(input: unknown): void {
  if (input === undefined || input === null) return;
  if (Array.isArray(input)) refuseUnknownOfItems(input);
  try {
    checkInput(input);
  } catch (cause) {
    const message =
      "Invalid input: expected a non-empty string or an array of text and image items.";
    throw invalidRequest("input", "invalid_union", message, { cause });
  }
}

/** @throws LmError unrecognized_keys for a key that items of this type do not have. */
function refuseUnknownOfItems(items: readonly unknown[]): void {
  for (const [index, item] of items.entries()) {
    if (typeof item !== "object" || item === null || !("type" in item)) continue;
    const keys = KEYS_OF_ITEMS.get(item.type);
    if (keys !== undefined) refuseUnknown(item, keys, `input[${index}]`);
  }
}

/**
 * The user's message. All items together are one, in order.
 * @throws LmError invalid_request; unsupported_input_modality for images.
 */
export function toUserText(input: ChatInput): string {
  if (typeof input === "string") return input.toWellFormed();
  const texts = input.map((item, index) => {
    if (item.type !== "image") return item.content.toWellFormed();
    if (!/^data:image\/[\w.+-]+;base64,/i.test(item.data_url)) {
      const path = `input[${index}].data_url`;
      const message = `Invalid '${path}': expected a data URL such as 'data:image/png;base64,...'.`;
      throw invalidRequest(path, "invalid_value", message);
    }
    throw invalidRequest(
      "input",
      "unsupported_input_modality",
      "Model does not support images. Please use a model that does.",
    );
  });
  return texts.join("");
}

/** Names of the client's fields. Everything it sends as text is its input. */
export function toWire(param: string): string {
  if (param === "contextLength") return "context_length";
  if (param === "draftModel") return "draft_model";
  return /^(prompt|messages)\b/.test(param) ? "input" : param;
}

/** One generation that continues `chat`, whose last message is the user's. */
export function toGenerateRequest(body: ExtendedChat, chat: StoredChat): GenerateRequest {
  const { temperature = null, top_p = null, top_k = null, min_p = null } = body;
  const { repeat_penalty = null, seed = null } = body;
  return {
    model: body.model,
    input: {
      kind: "chat",
      messages: toMessages(chat),
      options: { ...DEFAULT_CHAT_OPTIONS, ...toThinking(body.reasoning ?? null) },
    },
    sampling: toSampling({ temperature, top_p, top_k, min_p, repeat_penalty, seed }),
    stops: toStops(body.stop ?? null),
    maxTokens: body.max_output_tokens ?? null,
    choices: 1,
    logprobs: null,
    promptLogprobs: false,
    cachePrompt: true,
    contextLength: body.context_length ?? null,
    ttlSeconds: body.ttl ?? null,
    draftModel: body.draft_model ?? null,
    ...toAdapters(body.lora ?? null),
  };
}

type Thinking = Pick<ChatOptions, "enableThinking" | "reasoningEffort">;

function toThinking(setting: ExtendedChat["reasoning"]): Thinking {
  switch (setting) {
    case "on":
    case "off":
      return { enableThinking: setting === "on", reasoningEffort: null };
    case "low":
    case "medium":
    case "high":
      return { enableThinking: true, reasoningEffort: setting };
    default:
      return { enableThinking: null, reasoningEffort: null };
  }
}
