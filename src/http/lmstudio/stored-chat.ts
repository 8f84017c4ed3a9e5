import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import type { Message } from "../../chat/conversation.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import type { StoredResponse } from "../../store/response-store.ts";
import type { Deps } from "../deps.ts";

const StoredMessage = Type.Object({
  role: Type.Union([Type.Literal("user"), Type.Literal("assistant")]),
  text: Type.String(),
  reasoning: Type.Union([Type.String(), Type.Null()]),
});
export type StoredMessage = Static<typeof StoredMessage>;

/** What one answer adds to its chat. */
const StoredChat = Type.Object({
  systemPrompt: Type.Union([Type.String(), Type.Null()]),
  messages: Type.Array(StoredMessage),
});
export type StoredChat = Static<typeof StoredChat>;

export const NEW_CHAT: StoredChat = Object.freeze({ systemPrompt: null, messages: [] });

/**
 * The chat up to an earlier answer.
 * @throws LmError invalid_request when the id has the wrong form, or nobody or somebody else has it.
 */
export function earlierChat({ responses }: Deps, id: string, owner: string): StoredChat {
  const param = "previous_response_id";
  if (!id.startsWith("resp_")) {
    throw invalidRequest(
      param,
      "invalid_value",
      `Invalid '${param}': '${printable(id)}'. Expected an ID that begins with 'resp'.`,
    );
  }
  const turns = responses?.chain(id, owner)?.map(toStoredChat) ?? null;
  if (turns === null || turns.includes(null)) {
    throw invalidRequest(
      param,
      "previous_response_not_found",
      `Previous response with id '${printable(id)}' not found.`,
    );
  }
  const known = turns.flatMap((turn) => turn ?? []);
  return {
    systemPrompt: known.findLast(({ systemPrompt }) => systemPrompt !== null)?.systemPrompt ?? null,
    messages: known.flatMap(({ messages }) => messages),
  };
}

function toStoredChat({ body }: StoredResponse): StoredChat | null {
  return Value.Check(StoredChat, body) ? body : null;
}

/** The chat as the model reads it. */
export function toMessages({ systemPrompt, messages }: StoredChat): Message[] {
  const system = systemPrompt === null ? [] : [toMessage("system", systemPrompt, null)];
  return [
    ...system,
    ...messages.map(({ role, text, reasoning }) => toMessage(role, text, reasoning)),
  ];
}

function toMessage(role: Message["role"], text: string, reasoning: string | null): Message {
  return {
    role,
    content: [{ type: "text", text }],
    reasoning,
    toolCalls: [],
    toolCallId: null,
    name: null,
  };
}
