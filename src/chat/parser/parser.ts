import type { Tool } from "../conversation.ts";
import type { ReasoningTags, ToolFormat } from "../formats/format.ts";
import { readAnswer } from "./answer.ts";
import type { ReaderState } from "./call-reader.ts";
import { Input, type Step } from "./input.ts";
import { OfferedTools } from "./offered-tools.ts";
import { Output } from "./output.ts";
import type { ParseEvent } from "./parse-event.ts";
import type { TextSpan } from "./text-span.ts";

export interface ParserOptions {
  /** How the model writes calls; null = it has no format, its answer is text. */
  format: ToolFormat | null;
  /**
   * `open`: the prompt already holds the start tag. `isOver`: it ends with the end tag, so that
   * whitespace at the beginning is none of the answer's. null = reasoning is not looked for.
   */
  reasoning: { tags: ReasoningTags; open: boolean; isOver?: boolean } | null;
  /** Tools the model may call. Without any, call markers are text. */
  tools: readonly Pick<Tool, "name" | "parameters">[];
  /** false = at most one call; all that follows it is dropped. */
  parallel: boolean;
  /** Nothing but calls is wanted: what a limit leaves of one is no text. */
  callsOnly?: boolean;
  /** An identifier for each call whose own is unknown when it begins. */
  newId: () => string;
  /** Identifiers of earlier calls, which get more by this answer's; clients know calls by them. */
  usedIds?: Set<string>;
}

/**
 * Reads a model's output as it comes. Never throws for any text; every character is read once, save
 * for the bounded heads of calls that turn out to be none.
 *
 * Text that looks like a call but does not parse, or names a tool that was not offered, stays text:
 * a client is only told of calls it can answer, and nothing a model wrote gets lost. The order of
 * events is the order of the output. Feed complete code points.
 */
export interface Parser {
  push(text: string): ParseEvent[];
  /** As `push`; its events come with those of the next. */
  feed(text: string): void;
  /** @param cut The output ended at a limit: open arguments stay as they are, without a repair. */
  end(cut: boolean): ParseEvent[];
  /** Where in the output each text among the last events stands. */
  readonly textSpans: readonly (readonly TextSpan[])[];
  /** Whitespace is held back that becomes text when more text follows. */
  readonly holdsText: boolean;
  readonly insideReasoning: boolean;
  /** Between an opening marker and the end of its calls. */
  readonly toolSectionOpen: boolean;
  readonly callCount: number;
  /** The last call broke off. */
  readonly isCallCut: boolean;
  /** Nothing that may follow will be told: the generation can stop. */
  readonly isFull: boolean;
}

export function createParser(options: ParserOptions): Parser {
  const { format, reasoning } = options;
  const tools = new OfferedTools(options.tools);
  const isPlain = reasoning === null && (format === null || (tools.isEmpty && !hasMarks(format)));
  const input = new Input();
  const output = new Output({
    usedIds: new Set(),
    callsOnly: false,
    ...options,
    input,
    holdSpace: !isPlain,
  });
  const state: ReaderState = { insideReasoning: reasoning?.open ?? false, toolSectionOpen: false };
  const reader = { input, output, tools, format, state };
  if (reasoning?.isOver === true) output.boundary();
  const step = readAnswer(reader, reasoning?.tags ?? null, reasoning?.open ?? false);
  const feed = (text: string): void => {
    if (!output.isFull && input.push(text)) step.next();
  };
  return {
    push(text) {
      feed(text);
      return output.drain();
    },
    feed,
    end(cut) {
      if (!output.isFull) {
        input.finish(cut ? "cut" : "ended");
        run(step);
        output.end();
      }
      return output.drain();
    },
    get textSpans() {
      return output.textSpans;
    },
    get holdsText() {
      return output.holdsText;
    },
    get insideReasoning() {
      return state.insideReasoning;
    },
    get toolSectionOpen() {
      return state.toolSectionOpen;
    },
    get callCount() {
      return output.callCount;
    },
    get isCallCut() {
      return output.isCut;
    },
    get isFull() {
      return output.isFull;
    },
  };
}

/** The format changes text even where no tool is offered. */
function hasMarks(format: ToolFormat): boolean {
  const hasHeaders = format.kind === "channels" || format.kind === "recipients";
  return (
    hasHeaders || format.reasoning !== null || format.noise.length > 0 || format.wrapper !== null
  );
}

function run(step: Step<void>): void {
  let result = step.next();
  while (!result.done) result = step.next();
}
