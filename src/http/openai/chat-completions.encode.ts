import type { AnswerIssue } from "../../chat/answer-check.ts";
import type { FinishReason, GenerateEvent } from "../../chat/events.ts";
import { defined } from "../../lib/assert.ts";
import type { JobTimings } from "../../protocol/events.ts";
import type { HttpSettings } from "../deps.ts";
import { toDraftStats } from "../draft-stats.ts";
import type { AnswerMessage, ChatCompletion, WireLogprob } from "./response.schema.ts";
import { type Stamp, toWireLogprob, UsageCounter } from "./stamp.ts";

export interface ChatEncoding {
  stamp: Stamp;
  choices: number;
  reasoningField: HttpSettings["reasoningField"];
  /** Calls are written as `function_call`, for requests that used `functions`. */
  legacyFunctions: boolean;
}

type WireFinish = ChatCompletion["choices"][number]["finish_reason"];

export function wireFinish(reason: FinishReason, legacyFunctions: boolean): WireFinish {
  return reason === "tool_calls" && legacyFunctions ? "function_call" : reason;
}

/** The key is absent where nothing is wrong: most clients never meet it. */
export function issuesField(issues: readonly AnswerIssue[]): { schema_issues?: string[] } {
  return issues.length === 0 ? {} : { schema_issues: issues.map(({ text }) => text) };
}

/** `issuesField` as further fields of an object that is written as text. */
export function issuesText(issues: readonly AnswerIssue[] = []): string {
  const fields = JSON.stringify(issuesField(issues)).slice(1, -1);
  return fields === "" ? "" : `,${fields}`;
}

/** What one choice has become so far. */
class ChoiceDraft {
  text = "";
  reasoning = "";
  finish: FinishReason = "stop";
  schemaIssues: readonly AnswerIssue[] = [];
  readonly logprobs: WireLogprob[] = [];
  readonly calls: { id: string; name: string; arguments: string }[] = [];

  message({ reasoningField, legacyFunctions }: ChatEncoding): AnswerMessage {
    const { text, reasoning, calls } = this;
    const functions = calls.map(({ id, name, arguments: args }) => ({
      id,
      type: "function" as const,
      function: { name, arguments: args === "" && this.finish !== "length" ? "{}" : args },
    }));
    const legacy = legacyFunctions ? functions[0] : undefined;
    return {
      role: "assistant",
      content: text === "" && calls.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== "" && reasoningField !== "reasoning" && { reasoning_content: reasoning }),
      ...(reasoning !== "" && reasoningField !== "reasoning_content" && { reasoning }),
      annotations: [],
      ...(legacy && { function_call: legacy.function }),
      ...(!legacy && functions.length > 0 && { tool_calls: functions }),
    };
  }
}

/** Reads a generation to its end and writes it as one `chat.completion` object. */
export async function chatCompletion(
  events: AsyncIterable<GenerateEvent>,
  encoding: ChatEncoding,
  wantsLogprobs: boolean,
): Promise<ChatCompletion> {
  const drafts = Array.from({ length: encoding.choices }, () => new ChoiceDraft());
  const usage = new UsageCounter();
  let model = "";
  let timings: JobTimings | null = null;
  for await (const event of events) {
    if (event.type === "started") {
      model = event.model;
      usage.started(event);
    } else if ("choice" in event) {
      collect(defined(drafts[event.choice], "an event of a choice nobody asked for"), event);
      if (event.type === "finished") usage.finished(event);
    } else if (event.type === "done") timings = event.timings;
  }
  return {
    id: encoding.stamp.id,
    object: "chat.completion",
    created: encoding.stamp.created,
    model,
    system_fingerprint: encoding.stamp.fingerprint,
    service_tier: "default",
    choices: drafts.map((draft, index) => ({
      index,
      message: draft.message(encoding),
      logprobs: wantsLogprobs ? { content: draft.logprobs, refusal: null } : null,
      finish_reason: wireFinish(draft.finish, encoding.legacyFunctions),
      ...issuesField(draft.schemaIssues),
    })),
    usage: usage.toWire(),
    stats: toStats(timings, usage.completionTokens),
  };
}

/** Empty without a draft model. */
function toStats(timings: JobTimings | null, tokens: number): ChatCompletion["stats"] {
  if (timings?.drafts === undefined) return {};
  const seconds = timings.decodeMs / 1000;
  return {
    tokens_per_second: seconds > 0 ? tokens / seconds : 0,
    ...toDraftStats(timings.drafts),
  };
}

function collect(draft: ChoiceDraft, event: Extract<GenerateEvent, { choice: number }>): void {
  switch (event.type) {
    case "text":
      // As in a stream, where no content may follow a call.
      if (draft.calls.length > 0) break;
      draft.text += event.text;
      for (const token of event.logprobs ?? []) draft.logprobs.push(toWireLogprob(token));
      break;
    case "reasoning":
      draft.reasoning += event.text;
      break;
    case "toolCall":
      draft.calls.push({ id: event.id, name: event.name, arguments: "" });
      break;
    case "toolArguments":
      defined(draft.calls[event.index], "arguments before their call").arguments += event.text;
      break;
    case "finished":
      draft.finish = event.reason;
      draft.schemaIssues = event.schemaIssues ?? [];
      break;
  }
}
