import { Type } from "typebox";
import { Value } from "typebox/value";
import { EXIT, ExitError } from "./command.ts";
import type { Target } from "./server-client.ts";
import { openStream } from "./server-request.ts";
import { sseEvents } from "./sse-events.ts";

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface ChatRequest {
  model: string;
  messages: readonly ChatMessage[];
  /** Idle seconds, when this request loads the model; null = the server's. */
  ttlSeconds: number | null;
  reasoning: "auto" | "on" | "off";
}

export interface ChatPiece {
  kind: "text" | "reasoning";
  text: string;
}

/** What is known at the end of an answer. */
export interface ChatFigures {
  stopReason: string;
  promptTokens: number;
  predictedTokens: number;
  /** From the request to the first piece, so that it includes a load. */
  timeToFirstTokenMs: number;
  /** Predicted tokens over the time from the first piece to the end. */
  tokensPerSecond: number;
}

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Chunk = Type.Object({
  choices: Type.Array(
    Type.Object({
      delta: Type.Object({ content: Text, reasoning_content: Text, reasoning: Text }),
      finish_reason: Text,
    }),
  ),
  usage: Type.Optional(
    Type.Union([
      Type.Object({ prompt_tokens: Type.Number(), completion_tokens: Type.Number() }),
      Type.Null(),
    ]),
  ),
});
const Failure = Type.Object({ error: Type.Object({ message: Type.String() }) });

/**
 * The answer of `POST /v1/chat/completions` as it comes.
 * @throws ExitError when the server refuses, fails or stops in the middle; the signal's reason.
 */
export async function* chatAnswer(
  target: Target,
  request: ChatRequest,
  signal: AbortSignal,
): AsyncGenerator<ChatPiece, ChatFigures, void> {
  const startMs = performance.now();
  const body = toBody(request);
  const stream = await openStream(target, { path: "/v1/chat/completions", body, signal });
  let firstMs: number | null = null;
  let stopReason: string | null = null;
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  try {
    for await (const data of sseEvents(stream)) {
      if (data === "[DONE]") break;
      const chunk = readChunk(data);
      usage = chunk.usage ?? usage;
      const [choice] = chunk.choices;
      if (choice === undefined) continue;
      stopReason = choice.finish_reason ?? stopReason;
      const { delta } = choice;
      const thought = delta.reasoning_content ?? delta.reasoning ?? "";
      if (thought !== "" || (delta.content ?? "") !== "") firstMs ??= performance.now();
      if (thought !== "") yield { kind: "reasoning", text: thought };
      if ((delta.content ?? "") !== "") yield { kind: "text", text: delta.content ?? "" };
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof ExitError && error.exitCode === EXIT.unreachable) throw broken(error);
    throw error;
  }
  if (signal.aborted) throw signal.reason;
  if (stopReason === null) throw broken(null);
  const endMs = performance.now();
  const seconds = (endMs - (firstMs ?? endMs)) / 1_000;
  return {
    stopReason,
    promptTokens: usage.prompt_tokens,
    predictedTokens: usage.completion_tokens,
    timeToFirstTokenMs: (firstMs ?? endMs) - startMs,
    tokensPerSecond: seconds > 0 ? usage.completion_tokens / seconds : 0,
  };
}

function toBody({ model, messages, ttlSeconds, reasoning }: ChatRequest): Record<string, unknown> {
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...(ttlSeconds !== null && { ttl: ttlSeconds }),
    ...(reasoning !== "auto" && { enable_thinking: reasoning === "on" }),
  };
}

function readChunk(data: string) {
  let document: unknown;
  try {
    document = JSON.parse(data);
  } catch (error) {
    throw broken(error);
  }
  if (Value.Check(Failure, document))
    throw new ExitError(EXIT.failed, document.error.message.slice(0, 2_000));
  if (!Value.Check(Chunk, document)) throw broken(null);
  return document;
}

const broken = (cause: unknown): ExitError =>
  new ExitError(EXIT.failed, "The answer ended before it was complete.", { cause });

/** The lines of `--stats`, in the words of LM Studio. */
export function figureLines(figures: ChatFigures): string[] {
  const { promptTokens, predictedTokens, timeToFirstTokenMs, tokensPerSecond } = figures;
  return [
    `Stop Reason: ${figures.stopReason}`,
    `Tokens/Second: ${tokensPerSecond.toFixed(2)}`,
    `Time to First Token: ${(timeToFirstTokenMs / 1_000).toFixed(3)}s`,
    `Prompt Tokens: ${promptTokens}`,
    `Predicted Tokens: ${predictedTokens}`,
    `Total Tokens: ${promptTokens + predictedTokens}`,
  ];
}
