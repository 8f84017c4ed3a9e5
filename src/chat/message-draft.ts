import type { Message } from "./conversation.ts";

/** A message whose text is one string, on its way to the template's own shape. */
export type Draft = Omit<Message, "content"> & { text: string | null };

export const plainDraft = (role: Draft["role"], text: string): Draft => ({
  role,
  text,
  reasoning: null,
  toolCalls: [],
  toolCallId: null,
  name: null,
});
