import type { GenerateEvent } from "../../chat/events.ts";
import { defined } from "../../lib/assert.ts";
import type { TokenLogprob } from "../../protocol/events.ts";
import { DONE_FRAME } from "../sse.ts";
import { type ChatEncoding, issuesText, wireFinish } from "./chat-completions.encode.ts";
import { toWireLogprob, UsageCounter } from "./stamp.ts";

type ChoiceEvent = Extract<GenerateEvent, { choice: number }>;
type Finished = Extract<GenerateEvent, { type: "finished" }>;

/**
 * A generation as `chat.completion.chunk` frames: role, reasoning, content, tool calls, finish per
 * choice, then the usage when asked, then the end mark.
 *
 * One frame per event. The parts that never change are written once as text: a frame costs one
 * small JSON string and a concatenation.
 *
 * @param endOf Further fields of a choice's last chunk, each behind a comma.
 */
export async function* chatChunks(
  events: AsyncIterable<GenerateEvent>,
  encoding: ChatEncoding,
  includeUsage: boolean,
  endOf: (choice: number) => string,
): AsyncGenerator<string, void, void> {
  const usage = new UsageCounter();
  let writer: ChunkWriter | null = null;
  for await (const event of events) {
    if (event.type === "started") {
      usage.started(event);
      writer = new ChunkWriter(encoding, event.model, { includeUsage, endOf });
    } else if ("choice" in event) {
      const frame = defined(writer, "a choice before the start").write(event);
      if (frame !== "") yield frame;
      if (event.type === "finished") usage.finished(event);
    }
  }
  if (includeUsage) yield defined(writer, "an end before the start").usage(usage);
  yield DONE_FRAME;
}

/** What a choice has sent so far. */
interface ChoiceState {
  hasRole: boolean;
  hasCall: boolean;
  /** Scores of tokens whose text comes with a later event. */
  logprobs: TokenLogprob[];
  /** The call that began but has no arguments yet. */
  bareCall: number | null;
}

class ChunkWriter {
  readonly #encoding: ChatEncoding;
  /** Everything of a chunk up to the value of the choice's `index`. */
  readonly #head: string;
  /** Everything between the choice and the end of the chunk, or its further fields. */
  readonly #tail: string;
  readonly #endOf: (choice: number) => string;
  readonly #stampJson: string;
  readonly #choices: ChoiceState[];

  constructor(
    encoding: ChatEncoding,
    model: string,
    { includeUsage, endOf }: { includeUsage: boolean; endOf: (choice: number) => string },
  ) {
    const { stamp } = encoding;
    this.#endOf = endOf;
    this.#encoding = encoding;
    this.#stampJson = JSON.stringify({
      id: stamp.id,
      object: "chat.completion.chunk",
      created: stamp.created,
      model,
      system_fingerprint: stamp.fingerprint,
    }).slice(0, -1);
    this.#head = `data: ${this.#stampJson},"choices":[{"index":`;
    this.#tail = `}]${includeUsage ? ',"usage":null' : ""}`;
    this.#choices = Array.from({ length: encoding.choices }, () => ({
      hasRole: false,
      hasCall: false,
      logprobs: [],
      bareCall: null,
    }));
  }

  /** @returns Zero, one or two frames as one text. */
  write(event: ChoiceEvent): string {
    const state = defined(this.#choices[event.choice], "an event of a choice nobody asked for");
    // Clients expect no content behind a call.
    if (event.type === "text" && state.hasCall) return "";
    state.hasCall ||= event.type === "toolCall";
    if (event.type === "text" && event.logprobs) state.logprobs.push(...event.logprobs);
    if ((event.type === "text" || event.type === "reasoning") && event.text === "") return "";
    return this.#role(event, state) + this.#noArguments(event, state) + this.#body(event, state);
  }

  usage(usage: UsageCounter): string {
    return `data: ${this.#stampJson},"choices":[],"usage":${JSON.stringify(usage.toWire())}}\n\n`;
  }

  #frame(choice: number, delta: string, logprobs = "null"): string {
    return (
      `${this.#head}${choice},"delta":${delta},"logprobs":${logprobs},` +
      `"finish_reason":null${this.#tail}}\n\n`
    );
  }

  #end({ choice, reason, schemaIssues }: Finished, state: ChoiceState): string {
    const finish = wireFinish(reason, this.#encoding.legacyFunctions);
    return (
      `${this.#head}${choice},"delta":{},"logprobs":${takeLogprobs(state)},` +
      `"finish_reason":"${finish}"${issuesText(schemaIssues)}${this.#tail}${this.#endOf(choice)}}\n\n`
    );
  }

  #role(event: ChoiceEvent, state: ChoiceState): string {
    if (state.hasRole) return "";
    state.hasRole = true;
    const content = event.type === "toolCall" ? "null" : '""';
    return this.#frame(event.choice, `{"role":"assistant","content":${content}}`);
  }

  /** A call that ends without arguments gets `{}`: they are always JSON. */
  #noArguments(event: ChoiceEvent, state: ChoiceState): string {
    const bare = state.bareCall;
    if (event.type === "toolArguments" && event.text === "") return "";
    state.bareCall = event.type === "toolCall" ? event.index : null;
    if (bare === null || event.type === "toolArguments") return "";
    if (event.type === "finished" && event.reason === "length") return "";
    return this.#frame(event.choice, this.#callPart({ index: bare, text: "{}" }));
  }

  #body(event: ChoiceEvent, state: ChoiceState): string {
    const { choice } = event;
    if (event.type === "text") {
      const delta = `{"content":${JSON.stringify(event.text)}}`;
      return this.#frame(choice, delta, takeLogprobs(state));
    }
    if (event.type === "reasoning") {
      return this.#frame(choice, this.#reasoning(JSON.stringify(event.text)));
    }
    if (event.type === "toolCall") return this.#frame(choice, this.#callHeader(event));
    if (event.type === "toolArguments") {
      return event.text === "" ? "" : this.#frame(choice, this.#callPart(event));
    }
    return this.#end(event, state);
  }

  #reasoning(text: string): string {
    const field = this.#encoding.reasoningField;
    return field === "both"
      ? `{"reasoning_content":${text},"reasoning":${text}}`
      : `{"${field}":${text}}`;
  }

  #callHeader({ index, id, name }: Extract<ChoiceEvent, { type: "toolCall" }>): string {
    if (this.#encoding.legacyFunctions) {
      return JSON.stringify({ function_call: { name, arguments: "" } });
    }
    return JSON.stringify({
      tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }],
    });
  }

  #callPart({ index, text }: { index: number; text: string }): string {
    const args = JSON.stringify(text);
    return this.#encoding.legacyFunctions
      ? `{"function_call":{"arguments":${args}}}`
      : `{"tool_calls":[{"index":${index},"function":{"arguments":${args}}}]}`;
  }
}

/** The waiting scores as JSON, `null` when there are none. */
function takeLogprobs(state: ChoiceState): string {
  if (state.logprobs.length === 0) return "null";
  const content = state.logprobs.map(toWireLogprob);
  state.logprobs = [];
  return JSON.stringify({ content, refusal: null });
}
