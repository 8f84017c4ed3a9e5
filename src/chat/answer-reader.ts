import type { JobEvent } from "../protocol/events.ts";
import type { AnswerCheck, AnswerIssue } from "./answer-check.ts";
import { AnswerScores } from "./answer-scores.ts";
import type { GenerateEvent } from "./events.ts";
import type { ParseEvent } from "./parser/parse-event.ts";
import type { Parser } from "./parser/parser.ts";
import { tokenTexts } from "./token-texts.ts";

type TextEvent = Extract<JobEvent, { type: "text" }>;
type ChoiceEnd = Omit<Extract<JobEvent, { type: "choiceDone" }>, "type" | "jobId" | "choice">;

/** Tokens that may follow the only call: its closing marks and the end token. */
const SURPLUS_TOKENS = 16;

/** One choice's output as it comes, told as reasoning, text and calls. */
export class AnswerReader {
  readonly #choice: number;
  readonly #parser: Parser;
  readonly #check: AnswerCheck | null;
  /** Text and calls so far, kept only for a check. */
  #answer = "";
  readonly #calls: { name: string; json: string }[] = [];
  #tokens = 0;
  #reasoningTokens = 0;
  /** Sampled since nothing further can be told. */
  #surplusTokens = 0;
  #isFinished = false;
  readonly #scores = new AnswerScores();
  /** Log probabilities are asked for. */
  #isScored = false;

  constructor(choice: number, parser: Parser, check: AnswerCheck | null) {
    this.#choice = choice;
    this.#parser = parser;
    this.#check = check;
  }

  /** Nothing further will be told, whatever the model goes on writing. */
  get isOver(): boolean {
    return this.#isFinished || this.#surplusTokens > SURPLUS_TOKENS;
  }

  /** Sampled so far and not told with an end; reasoning is part of all. */
  get untoldTokens(): { all: number; reasoning: number } {
    if (this.#isFinished) return { all: 0, reasoning: 0 };
    return { all: this.#tokens, reasoning: this.#reasoningTokens };
  }

  /** What a piece of output says. */
  read(event: TextEvent): GenerateEvent[] {
    const { text, tokens, logprobs } = event;
    const parser = this.#parser;
    this.#tokens += tokens;
    if (parser.isFull) this.#surplusTokens += tokens;
    const wasReasoning = parser.insideReasoning;
    const texts = tokenTexts(event);
    for (const piece of texts.slice(0, -1)) this.#counted(() => parser.feed(piece));
    const last = texts.at(-1);
    // Text of no token is what the server wrote in the model's place.
    const events = last === undefined ? parser.push(text) : this.#counted(() => parser.push(last));
    this.#isScored ||= logprobs !== undefined;
    this.#scores.push(text, logprobs ?? []);
    const told = this.#tell(events);
    const isCall = events.some(({ type }) => type === "toolCall" || type === "toolArguments");
    const isReasoning = wasReasoning && parser.insideReasoning && !parser.holdsText;
    if (isCall || isReasoning) this.#scores.forgetBefore(text);
    return told;
  }

  /** The end of a choice that is over and that the engine was still writing. */
  stop(): GenerateEvent[] {
    if (this.#isFinished) return [];
    const completionTokens = this.#tokens;
    const stopped = { finish: "stop", stop: null, completionTokens, meanLogprob: null } as const;
    return this.finish(stopped, false);
  }

  /**
   * The end of the choice.
   * @param isOwnStop The matched stop string is the format's own, so the model ended by itself.
   */
  finish(done: ChoiceEnd, isOwnStop: boolean): GenerateEvent[] {
    const { finish, stop, completionTokens, meanLogprob } = done;
    const parser = this.#parser;
    this.#isFinished = true;
    // A stop string of the request may stand anywhere, as a limit may.
    const isCut = finish === "length" || (stop !== null && !isOwnStop);
    const told = [...this.#tell(parser.end(isCut)), ...this.#tellHidden()];
    const isCall = parser.callCount > 0 && !(isCut && parser.isCallCut);
    const schemaIssues = finish === "stop" ? this.#issues() : [];
    const end: GenerateEvent = {
      type: "finished",
      choice: this.#choice,
      reason: finish === "stop" && isCall ? "tool_calls" : finish,
      stop: isOwnStop ? null : stop,
      completionTokens,
      reasoningTokens: Math.min(this.#reasoningTokens, completionTokens),
      meanLogprob,
      ...(schemaIssues.length > 0 ? { schemaIssues } : {}),
    };
    return [...told, end];
  }

  #tellHidden(): GenerateEvent[] {
    const logprobs = this.#scores.takeHidden();
    if (logprobs.length === 0) return [];
    return [{ type: "text", choice: this.#choice, text: "", logprobs }];
  }

  #issues(): readonly AnswerIssue[] {
    const check = this.#check;
    if (check === null) return [];
    if (this.#calls.length === 0) return check.answer(this.#answer);
    return this.#calls.flatMap(({ name, json }, index) => check.call(index, name, json));
  }

  #keepArguments(index: number, text: string): void {
    const call = this.#calls[index];
    if (call !== undefined) call.json += text;
  }

  /** Reads one token, which is reasoning where it begins, lies or ends in it. */
  #counted<Result>(read: () => Result): Result {
    const wasReasoning = this.#parser.insideReasoning;
    const result = read();
    if (wasReasoning || this.#parser.insideReasoning) this.#reasoningTokens++;
    return result;
  }

  /** @param events The parser's last. */
  #tell(events: readonly ParseEvent[]): GenerateEvent[] {
    const choice = this.#choice;
    const told: GenerateEvent[] = [];
    const spans = this.#parser.textSpans.values();
    for (const event of events) {
      switch (event.type) {
        case "text":
          if (this.#check !== null) this.#answer += event.text;
          told.push({
            type: "text",
            choice,
            text: event.text,
            logprobs: this.#isScored ? this.#scores.take(spans.next().value ?? []) : null,
          });
          break;
        case "reasoning":
          told.push({ type: "reasoning", choice, text: event.text });
          break;
        case "toolCall":
          if (this.#check !== null) this.#calls.push({ name: event.name, json: "" });
          told.push({
            type: "toolCall",
            choice,
            index: event.index,
            id: event.id,
            name: event.name,
          });
          break;
        case "toolArguments":
          this.#keepArguments(event.index, event.text);
          told.push({ type: "toolArguments", choice, index: event.index, text: event.text });
          break;
        case "toolCallEnd":
          break;
      }
    }
    return told;
  }
}
