import type { ChatOptions, ContentPart, Message, ToolCall } from "./conversation.ts";
import { parseJsonData } from "./jinja/value.ts";
import { type Draft, plainDraft } from "./message-draft.ts";
import { placeSystemMessages } from "./system-messages.ts";
import {
  shapedText,
  type TemplateCapabilities,
  type TemplateMessage,
} from "./template-capabilities.ts";
import { systemSwitch } from "./thinking-switches.ts";
import { CallIds, callIdStyle } from "./tool-call-ids.ts";
import { callText, resultText, toolInstructions } from "./tool-fallback.ts";

/**
 * What becomes of arguments that are no JSON object, where the template wants objects: the text
 * itself, or an object that holds it, for templates that refuse text.
 */
export type BrokenArguments = "text" | "wrapped";

/** Adjacent text parts belong together without a separator. */
const textOf = (parts: readonly ContentPart[]): string => parts.map((part) => part.text).join("");

/**
 * The messages as this template wants them. Order is kept and equal histories give equal messages,
 * so that a longer conversation begins with the prompt of the shorter one; only a system message
 * that the template would lose or refuse in its place moves to the front and changes that beginning.
 */
export function normaliseMessages(
  source: string,
  can: TemplateCapabilities,
  messages: readonly Message[],
  options: ChatOptions,
  broken: BrokenArguments = "text",
): TemplateMessage[] {
  const named = namedResults(messages);
  let drafts = named.map(({ content, ...rest }): Draft => ({
    ...rest,
    role: rest.role === "developer" && !can.developerRole ? "system" : rest.role,
    text: content === null ? null : textOf(content),
  }));
  drafts = placeSystemMessages(can, drafts, systemAdditions(source, can, options));
  if (!can.toolCalls) drafts = drafts.map((draft) => callsAsText(source, draft));
  else if (!can.severalCalls) drafts = oneCallPerTurn(drafts);
  if (!readsResults(source, can)) drafts = drafts.map(resultAsUser);
  if (can.answerAfterResult !== null) drafts = answerResults(drafts, can.answerAfterResult);
  if (can.rolesAlternate) drafts = joinSameRoles(drafts);
  const ids = new CallIds(callIdStyle(source));
  return drafts.map((draft) => shaped(source, can, draft, ids, broken));
}

/** Results carry the name of the function they answer, which some templates print. */
function namedResults(messages: readonly Message[]): Message[] {
  const names = new Map<string, string>();
  return messages.map((message) => {
    for (const call of message.toolCalls) names.set(call.id, call.name);
    if (message.role !== "tool" || message.name !== null || message.toolCallId === null)
      return message;
    return { ...message, name: names.get(message.toolCallId) ?? null };
  });
}

function systemAdditions(
  source: string,
  can: TemplateCapabilities,
  options: ChatOptions,
): string[] {
  const isOffered = options.tools.length > 0 && options.toolChoice.kind !== "none";
  const needsTools = isOffered && !can.tools;
  const instructions = needsTools ? toolInstructions(source, options.tools, can.callExample) : null;
  const word = can.switchWord ? systemSwitch(options) : null;
  return [instructions, word].filter((text) => text !== null);
}

function callsAsText(source: string, draft: Draft): Draft {
  if (draft.toolCalls.length === 0) return draft;
  const calls = draft.toolCalls.map((call) => callText(source, call));
  const text = [...(draft.text ? [draft.text] : []), ...calls].join("\n");
  return { ...draft, text, toolCalls: [] };
}

/** A template that prints any role prints results, too, under a role its model never met. */
const readsResults = (source: string, can: TemplateCapabilities): boolean =>
  can.toolContent !== null && (can.toolCalls || source.includes("tool"));

function resultAsUser(draft: Draft): Draft {
  if (draft.role !== "tool") return draft;
  return plainDraft("user", resultText(draft.name, draft.text ?? ""));
}

/** Turns of several calls as turns of one, each followed by its own result. */
function oneCallPerTurn(drafts: readonly Draft[]): Draft[] {
  const taken = new Set<Draft>();
  return drafts.flatMap((draft, index) => {
    if (taken.has(draft)) return [];
    if (draft.toolCalls.length < 2) return [draft];
    return draft.toolCalls.flatMap((call, place) => {
      const result = resultOf(drafts.slice(index + 1), call);
      if (result !== undefined) taken.add(result);
      const turn: Draft = { ...draft, toolCalls: [call] };
      const later: Draft = { ...turn, text: null, reasoning: null };
      return [place === 0 ? turn : later, ...(result === undefined ? [] : [result])];
    });
  });
}

function resultOf(following: readonly Draft[], call: ToolCall): Draft | undefined {
  const end = following.findIndex((draft) => draft.role !== "tool");
  const results = end === -1 ? following : following.slice(0, end);
  return results.find((draft) => draft.toolCallId === call.id);
}

/** For templates that refuse a user's turn straight behind a result. */
function answerResults(drafts: readonly Draft[], answer: string): Draft[] {
  return drafts.flatMap((draft, index) => {
    const isBehindResult = draft.role === "user" && drafts[index - 1]?.role === "tool";
    return isBehindResult ? [plainDraft("assistant", answer), draft] : [draft];
  });
}

/** For templates that refuse two turns of one role in a row. */
function joinSameRoles(drafts: readonly Draft[]): Draft[] {
  const result: Draft[] = [];
  for (const draft of drafts) {
    const last = result.at(-1);
    const isSame = last?.role === draft.role && (draft.role === "user" || isPlainAnswer(draft));
    if (last === undefined || !isSame || (draft.role === "assistant" && !isPlainAnswer(last))) {
      result.push(draft);
      continue;
    }
    result[result.length - 1] = { ...last, text: `${last.text ?? ""}\n\n${draft.text ?? ""}` };
  }
  return result;
}

const isPlainAnswer = (draft: Draft): boolean =>
  draft.role === "assistant" && draft.toolCalls.length === 0;

function shaped(
  source: string,
  can: TemplateCapabilities,
  draft: Draft,
  ids: CallIds,
  broken: BrokenArguments,
): TemplateMessage {
  const { role, text, name, reasoning, toolCalls, toolCallId } = draft;
  const calls = toolCalls.map((call) => ({
    id: ids.ofCall(call),
    type: "function",
    function: { name: call.name, arguments: argumentsOf(can, call, broken) },
  }));
  return {
    role,
    ...contentOf(source, can, draft),
    ...(name === null ? {} : { name }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(role === "tool" && toolCallId !== null
      ? { tool_call_id: ids.ofResult(toolCallId, name) }
      : {}),
    ...(role === "assistant" && reasoning !== null && reasoning !== ""
      ? reasoningOf(source, reasoning, toolCalls.length > 0 && Boolean(text))
      : {}),
  };
}

/** JSON text as the data it is. */
function argumentsOf(can: TemplateCapabilities, call: ToolCall, broken: BrokenArguments): unknown {
  const text = call.arguments.trim() === "" ? "{}" : call.arguments;
  if (can.toolArguments === "text") return text;
  try {
    const data = parseJsonData(text);
    if (typeof data === "object" && data !== null && !Array.isArray(data)) return data;
  } catch {
    return broken === "text" ? text : { arguments: text };
  }
  return broken === "text" ? text : { arguments: text };
}

function contentOf(source: string, can: TemplateCapabilities, draft: Draft): TemplateMessage {
  const { text, role, reasoning, toolCalls } = draft;
  if (!text && toolCalls.length > 0) {
    if (can.absentContent === "omitted") return {};
    return { content: can.absentContent === "null" ? null : "" };
  }
  const shown = text ?? "";
  if (role === "assistant" && reasoning && readsThinkingParts(source)) {
    return {
      content: [
        { type: "thinking", thinking: reasoning },
        { type: "text", text: shown },
      ],
    };
  }
  const shape = role === "tool" ? can.toolContent : can.content;
  return { content: shapedText(shape ?? can.content, shown) };
}

/** Templates that find earlier thinking only among the parts of the content. */
const readsThinkingParts = (source: string): boolean =>
  /\['type'\]\s*==\s*'thinking'/.test(source) && !source.includes("reasoning_content");

/** Earlier thinking under every key that some family reads. */
function reasoningOf(source: string, reasoning: string, hasBoth: boolean): TemplateMessage {
  // One family refuses a turn of calls that holds both text and thinking: its text is the thinking.
  const refusesBoth = source.includes("Cannot pass both content and thinking");
  return {
    reasoning_content: reasoning,
    reasoning,
    ...(hasBoth && refusesBoth ? {} : { thinking: reasoning }),
    ...(source.includes("tool_plan") ? { tool_plan: reasoning } : {}),
    ...(/'thought' in message/.test(source) ? { thought: reasoning } : {}),
  };
}
