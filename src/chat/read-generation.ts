import { assert, defined } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { JobPrompt } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import type { AnswerCheck } from "./answer-check.ts";
import { AnswerReader } from "./answer-reader.ts";
import type { GenerateEvent } from "./events.ts";
import type { Parser } from "./parser/parser.ts";
import { Stopwatch } from "./stopwatch.ts";

/** How the output of a job is told. */
export interface Reading {
  /** Identifier of the instance that answers. */
  model: string;
  choices: number;
  prompt: JobPrompt;
  /** The request's own stop strings. */
  stops: readonly string[];
  warnings: readonly string[];
  createParser(): Parser;
  check: AnswerCheck | null;
}

/**
 * A job's output as text, reasoning and calls. A job of which nothing further can be told, since
 * every choice has the one call that was allowed, is left, which cancels it.
 */
export async function* readGeneration(
  events: AsyncGenerator<JobEvent, void, void>,
  reading: Reading,
  clock: Clock,
): AsyncGenerator<GenerateEvent, void, void> {
  const readers = Array.from(
    { length: reading.choices },
    (_, choice) => new AnswerReader(choice, reading.createParser(), reading.check),
  );
  const readerOf = (choice: number): AnswerReader =>
    defined(readers[choice], "the engine told of a choice that was not asked for");
  const stopwatch = new Stopwatch(clock);
  try {
    for await (const event of events) {
      stopwatch.observe(event);
      switch (event.type) {
        case "accepted": {
          const { promptTokens, cachedTokens } = event;
          const { model, warnings, prompt } = reading;
          const text = prompt.kind === "text" ? { prompt: prompt.text } : {};
          yield { type: "started", model, promptTokens, cachedTokens, ...text, warnings };
          break;
        }
        case "progress":
          yield { type: "progress", processed: event.processed, total: event.total };
          break;
        case "promptLogprobs":
          yield { type: "promptLogprobs", tokens: event.tokens };
          break;
        case "text":
          for (const told of readerOf(event.choice).read(event)) yield told;
          if (!readers.every((reader) => reader.isOver)) break;
          for (const told of readers.flatMap((reader) => reader.stop())) yield told;
          yield { type: "done", timings: stopwatch.timings() };
          return;
        case "choiceDone": {
          const { stop } = event;
          const isOwnStop = stop !== null && !reading.stops.includes(stop);
          for (const told of readerOf(event.choice).finish(event, isOwnStop)) yield told;
          break;
        }
        case "jobDone":
          yield { type: "done", timings: event.timings };
          break;
        default:
          assert(false, `a lease passed on an event that is not of a generation: ${event.type}`);
      }
    }
  } catch (error) {
    if (stopwatch.hasText) yield interrupted(readers, stopwatch);
    throw error;
  }
}

/** What is known of a generation that fails. */
function interrupted(readers: readonly AnswerReader[], stopwatch: Stopwatch): GenerateEvent {
  const untold = readers.map(({ untoldTokens }) => untoldTokens);
  return {
    type: "interrupted",
    completionTokens: untold.reduce((sum, { all }) => sum + all, 0),
    reasoningTokens: untold.reduce((sum, { reasoning }) => sum + reasoning, 0),
    timings: stopwatch.timings(),
  };
}
