import type { GenerateEvent } from "../../chat/events.ts";
import { nativeError } from "./error-response.ts";
import type { ChatAnswer, ChatEvent, OutputItem } from "./chat.schema.ts";

type Stats = ChatAnswer["stats"];
type Block = "reasoning" | "message";

/** One answer while it grows: what was said, and the events that tell it, in the API's order. */
export class ChatTurn {
  readonly #output: OutputItem[] = [];
  #instanceId: string;
  #hasStarted = false;
  /** What was opened and is not closed yet. */
  #open: "prompt_processing" | Block | null = null;
  #progress = 0;
  #loadProgress = 0;
  readonly #stats: Stats = {
    input_tokens: 0,
    total_output_tokens: 0,
    reasoning_output_tokens: 0,
    tokens_per_second: 0,
    time_to_first_token_seconds: 0,
  };

  /** @param instanceId Who is expected to answer; the generation tells who does. */
  constructor(instanceId: string) {
    this.#instanceId = instanceId;
  }

  /** Something was told: from now on failures are events. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** The answer's text. */
  get text(): string {
    return this.#textOf("message");
  }

  /** The thinking before it; null = none. */
  get reasoning(): string | null {
    return this.#textOf("reasoning") || null;
  }

  *start(): Generator<ChatEvent> {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    yield { type: "chat.start", model_instance_id: this.#instanceId };
  }

  *loadStart(): Generator<ChatEvent> {
    yield { type: "model_load.start", model_instance_id: this.#instanceId };
  }

  /** @param fraction Of the model that is read, 0 to 1. */
  *loadProgress(fraction: number): Generator<ChatEvent> {
    if (fraction <= this.#loadProgress) return;
    this.#loadProgress = fraction;
    yield {
      type: "model_load.progress",
      model_instance_id: this.#instanceId,
      progress: fraction,
    };
  }

  /** @param instanceId Of the instance that was loaded; null = the load failed. */
  *loadEnd(instanceId: string | null, seconds: number): Generator<ChatEvent> {
    if (instanceId !== null) {
      this.#instanceId = instanceId;
      this.#stats.model_load_time_seconds = seconds;
    }
    yield {
      type: "model_load.end",
      model_instance_id: this.#instanceId,
      load_time_seconds: seconds,
    };
  }

  *observe(event: GenerateEvent): Generator<ChatEvent> {
    switch (event.type) {
      case "started":
        this.#instanceId = event.model;
        this.#stats.input_tokens = event.promptTokens;
        yield* this.start();
        this.#open = "prompt_processing";
        yield { type: "prompt_processing.start" };
        break;
      case "progress":
        yield* this.#advance(event.processed / Math.max(1, event.total));
        break;
      case "text":
        yield* this.#say("message", event.text);
        break;
      case "reasoning":
        yield* this.#say("reasoning", event.text);
        break;
      case "toolCall":
        yield* this.#refuseCall(event.name);
        break;
      case "finished":
        this.#count(event);
        break;
      case "interrupted":
        this.#count(event);
        this.#time(event.timings);
        break;
      case "done":
        this.#time(event.timings);
        break;
      case "resolved":
      case "assigned":
      case "toolArguments":
      case "promptLogprobs":
        break;
    }
  }

  /** A complete answer: it has a message, if an empty one. */
  *finish(): Generator<ChatEvent> {
    if (!this.#output.some(({ type }) => type === "message")) yield* this.#enter("message");
    yield* this.#close();
  }

  /** Everything open is closed, then the failure is told. */
  *fail(error: unknown): Generator<ChatEvent> {
    yield* this.start();
    yield* this.#close();
    yield { type: "error", error: nativeError(error) };
    yield { type: "chat.end", result: this.result(null) };
  }

  /** @param responseId null when the answer was not stored. */
  result(responseId: string | null): ChatAnswer {
    return {
      model_instance_id: this.#instanceId,
      output: this.#output,
      stats: this.#stats,
      ...(responseId !== null && { response_id: responseId }),
    };
  }

  #textOf(block: Block): string {
    return this.#output.map((item) => (item.type === block ? item.content : "")).join("");
  }

  *#advance(progress: number): Generator<ChatEvent> {
    if (this.#open !== "prompt_processing") return;
    this.#progress = Math.min(1, Math.max(this.#progress, progress));
    yield { type: "prompt_processing.progress", progress: this.#progress };
  }

  *#say(block: Block, content: string): Generator<ChatEvent> {
    if (content === "") return;
    if (this.#open !== block) yield* this.#enter(block);
    const item = this.#output.at(-1);
    if (item?.type === block) item.content += content;
    yield { type: `${block}.delta`, content };
  }

  *#enter(block: Block): Generator<ChatEvent> {
    yield* this.#close();
    this.#open = block;
    this.#output.push({ type: block, content: "" });
    yield { type: `${block}.start` };
  }

  *#close(): Generator<ChatEvent> {
    const open = this.#open;
    this.#open = null;
    if (open !== null) yield { type: `${open}.end` };
  }

  /** This API offers the model no tools: whatever it calls does not exist. */
  *#refuseCall(name: string): Generator<ChatEvent> {
    yield* this.#close();
    const reason = `Cannot find tool with name ${name}.`;
    const metadata = { type: "invalid_name", tool_name: name } as const;
    this.#output.push({ type: "invalid_tool_call", reason, metadata });
    yield { type: "tool_call.failure", reason, metadata };
  }

  #count(counts: { completionTokens: number; reasoningTokens: number }): void {
    this.#stats.total_output_tokens += counts.completionTokens;
    this.#stats.reasoning_output_tokens += counts.reasoningTokens;
  }

  #time({ ttftMs, queuedMs, decodeMs }: Extract<GenerateEvent, { type: "done" }>["timings"]): void {
    const stats = this.#stats;
    stats.time_to_first_token_seconds = Math.max(0, ttftMs - queuedMs) / 1000;
    stats.tokens_per_second = decodeMs > 0 ? stats.total_output_tokens / (decodeMs / 1000) : 0;
  }
}
