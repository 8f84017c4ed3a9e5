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
  let predicted = 0;
  let stopReason = "failed";
  let output = "";
  let firstMs: number | null = null;
  try {
    for await (const event of events) {
      if (event.type === "started") {
        names = { modelIdentifier: event.model, modelPath: request.model ?? event.model };
        prompted = event.promptTokens;
        const input = isContentShown ? { input: inputText(request) } : {};
        feed.publish({ type: "llm.prediction.input", ...names, ...input });
      } else if (event.type === "text" || event.type === "reasoning") {
        firstMs ??= performance.now();
        if (isContentShown && output.length < MAX_TEXT) output += event.text;
      } else if (event.type === "finished") {
        predicted += event.completionTokens;
        stopReason = event.reason;
      } else if (event.type === "interrupted") predicted += event.completionTokens;
      yield event;
    }
  } finally {
    const endMs = performance.now();
    const seconds = (endMs - (firstMs ?? endMs)) / 1_000;
    feed.publish({
      type: "llm.prediction.output",
      ...names,
      ...(isContentShown && { output }),
      stats: {
        stopReason,
        tokensPerSecond: seconds > 0 ? predicted / seconds : 0,
        timeToFirstTokenSec: ((firstMs ?? endMs) - startMs) / 1_000,
        promptTokensCount: prompted,
        predictedTokensCount: predicted,
        totalTokensCount: prompted + predicted,
      },
    });
  }
}

function inputText({ input }: GenerateRequest): string {
  const whole =
    input.kind === "prompt" && input.prompt.kind === "text"
      ? input.prompt.text
      : JSON.stringify(input.kind === "chat" ? input.messages : input.prompt);
  return whole.slice(0, MAX_TEXT).toWellFormed();
}
