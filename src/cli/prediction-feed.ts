import type { Generate, GenerateEvent, GenerateRequest } from "../chat/events.ts";
import type { LogFeed } from "../http/log-feed.ts";

/** Characters of a question and of an answer that are shown. */
const MAX_TEXT = 64 * 1_024;

/**
 * Shows what is asked and answered to those who watch the log; texts only when `isContentShown`.
 * Costs nothing while nobody watches.
 */
export function withPredictionFeed(
  generate: Generate,
  feed: LogFeed,
  isContentShown: boolean,
): Generate {
  return (request, signal) => {
    const events = generate(request, signal);
    return feed.isWatched("model") ? watched(request, events, feed, isContentShown) : events;
  };
}

async function* watched(
  request: GenerateRequest,
  events: AsyncGenerator<GenerateEvent, void, void>,
  feed: LogFeed,
  isContentShown: boolean,
): AsyncGenerator<GenerateEvent, void, void> {
  const startMs = performance.now();
  let names = { modelIdentifier: request.model ?? "", modelPath: request.model ?? "" };
  let prompted = 0;
  // One that is refused before it starts has one answer, which failed.
  let answers = [new Answer(startMs)];
  const tell = (answer: Answer): void => {
    const output = isContentShown ? { output: answer.text.toWellFormed() } : {};
    const stats = answer.figures(prompted);
    feed.publish({ type: "llm.prediction.output", ...names, ...output, stats });
  };
  try {
    for await (const event of events) {
      if (event.type === "started") {
        names = { modelIdentifier: event.model, modelPath: request.model ?? event.model };
        prompted = event.promptTokens;
        answers = Array.from({ length: request.choices }, () => new Answer(startMs));
        const input = isContentShown ? { input: inputText(event, request) } : {};
        feed.publish({ type: "llm.prediction.input", ...names, ...input });
      } else if ("choice" in event) {
        const answer = answers[event.choice];
        answer?.take(event);
        if (event.type === "finished" && answer !== undefined) tell(answer);
      } else if (event.type === "interrupted") {
        // Counted for all that did not finish together: the first of them has the sum.
        answers.find(({ isFinished }) => !isFinished)?.count(event.completionTokens);
      }
      yield event;
    }
  } finally {
    for (const answer of answers) if (!answer.isFinished) tell(answer);
  }
}

/** One choice of a request, as far as it has come. */
class Answer {
  readonly #startMs: number;
  #firstMs: number | null = null;
  #predicted = 0;
  #stopReason: string | null = null;
  /** Reasoning, text and calls in the order they came; the beginning of them. */
  text = "";

  /** @param startMs When it was asked for, on the clock of `performance.now`. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  get isFinished(): boolean {
    return this.#stopReason !== null;
  }

  count(tokens: number): void {
    this.#predicted = tokens;
  }

  take(event: Extract<GenerateEvent, { choice: number }>): void {
    if (event.type === "finished") {
      this.count(event.completionTokens);
      this.#stopReason = event.reason;
      return;
    }
    this.#firstMs ??= performance.now();
    // A call stands on its own line, with its arguments.
    const isCall = event.type === "toolCall";
    const piece = isCall ? `${this.text === "" ? "" : "\n"}${event.name} ` : event.text;
    if (this.text.length < MAX_TEXT) this.text += piece;
  }

  figures(promptTokensCount: number) {
    const endMs = performance.now();
    const seconds = (endMs - (this.#firstMs ?? endMs)) / 1_000;
    return {
      stopReason: this.#stopReason ?? "failed",
      tokensPerSecond: seconds > 0 ? this.#predicted / seconds : 0,
      timeToFirstTokenSec: ((this.#firstMs ?? endMs) - this.#startMs) / 1_000,
      promptTokensCount,
      predictedTokensCount: this.#predicted,
      totalTokensCount: promptTokensCount + this.#predicted,
    };
  }
}

/** The prompt as the model reads it; token numbers or both sides of a gap where it is no text. */
function inputText(
  { prompt }: Extract<GenerateEvent, { type: "started" }>,
  { input }: GenerateRequest,
): string {
  const whole = prompt ?? JSON.stringify(input.kind === "chat" ? input.messages : input.prompt);
  return whole.slice(0, MAX_TEXT).toWellFormed();
}
