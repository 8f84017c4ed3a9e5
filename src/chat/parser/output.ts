import { EventList } from "./event-list.ts";
import type { Input } from "./input.ts";
import type { ParseEvent } from "./parse-event.ts";
import { addSpan, type TextSpan } from "./text-span.ts";

export interface OutputOptions {
  /** What is told of it ends where it was read up to. */
  input: Pick<Input, "position" | "end">;
  newId: () => string;
  /** Identifiers that no call may have, to which those of the calls are added. */
  usedIds: Set<string>;
  /** Nothing but calls is wanted. */
  callsOnly: boolean;
  /** false = at most one call; everything after it is dropped. */
  parallel: boolean;
  /** Holds back runs of whitespace until it is known what follows them. */
  holdSpace: boolean;
}

type Kind = "text" | "reasoning";

interface HeldSpace {
  text: string;
  spans: TextSpan[];
}

/**
 * Collects events. Whitespace of a text or of reasoning is told once more of the same follows, so
 * that it can be dropped beside calls and at both ends of what has markers around it; the end of an
 * answer without any keeps it.
 */
export class Output {
  readonly #options: OutputOptions;
  readonly #events = new EventList();
  readonly #heldSpace: Record<Kind, HeldSpace> = {
    text: { text: "", spans: [] },
    reasoning: { text: "", spans: [] },
  };
  /** Something else than whitespace was told. */
  readonly #isTold = { text: false, reasoning: false };
  #kind: Kind = "text";
  /** A marker came since the last text: whitespace is only told between two pieces. */
  #atBoundary = false;
  #calls = 0;
  #lastComplete = true;
  #isFull = false;
  /** The rest is the head of a call. */
  #isHead = false;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** No further event will come: the only call that is wanted has ended. */
  get isFull(): boolean {
    return this.#isFull;
  }

  get callCount(): number {
    return this.#calls;
  }

  get hasText(): boolean {
    return this.#isTold.text;
  }

  /** The last call broke off. */
  get isCut(): boolean {
    return !this.#lastComplete;
  }

  drain(): ParseEvent[] {
    return this.#events.drain();
  }

  /** Where in the input each text among the events drained last stands. */
  get textSpans(): readonly (readonly TextSpan[])[] {
    return this.#events.textSpans;
  }

  /** Whitespace is held back that becomes text when more text follows. */
  get holdsText(): boolean {
    return this.#heldSpace.text.text !== "";
  }

  /**
   * At a limit, behind a call or where only calls are wanted, what could still have become a call is
   * dropped: it is the head of one and no text.
   */
  readonly text = (text: string): void => {
    const { input, callsOnly } = this.#options;
    if (input.end === "cut" && (this.#calls > 0 || callsOnly || this.#isHead)) return;
    this.#append("text", text);
  };

  readonly reasoning = (text: string): void => {
    if (!this.#isHead) this.#append("reasoning", text);
  };

  /** A call was begun; when that is because the output was cut there, its head is dropped. */
  noCall(): void {
    if (this.#options.input.end !== "cut") return;
    this.#isHead = true;
    this.#atBoundary = true;
  }

  /** A marker: whitespace beside it is no beginning and no end of the answer. */
  boundary(): void {
    this.#atBoundary = true;
  }

  /** @param written The model's own identifier; one that is empty or used already counts as none. */
  call(name: string, written: string | null): number {
    this.#heldSpace.text = { text: "", spans: [] };
    const index = this.#calls++;
    const { usedIds, newId } = this.#options;
    const isOwn = written !== null && written !== "" && !usedIds.has(written);
    const id = isOwn ? written : newId();
    usedIds.add(id);
    this.#tell({ type: "toolCall", index, id, name });
    this.#lastComplete = false;
    return index;
  }

  arguments(index: number, text: string): void {
    if (text !== "") this.#tell({ type: "toolArguments", index, text });
  }

  endCall(index: number, complete: boolean, lateId: string | null = null): void {
    this.#tell({ type: "toolCallEnd", index, complete, lateId });
    this.#lastComplete = complete;
    this.#atBoundary = true;
    if (!this.#options.parallel) this.#isFull = true;
  }

  /** The answer is over; whatever follows is not part of it. */
  stop(): void {
    this.#isFull = true;
  }

  end(): void {
    const held = this.#heldSpace[this.#kind];
    if (this.#calls === 0 && !this.#atBoundary && held.text !== "") {
      this.#tellText(this.#kind, held.text, held.spans);
    }
  }

  #append(kind: Kind, text: string): void {
    if (text === "") return;
    const behind = this.#options.input.position;
    if (!this.#options.holdSpace) {
      this.#tellText(kind, text, [{ start: behind - text.length, end: behind }]);
      return;
    }
    if (kind !== this.#kind) this.boundary();
    this.#kind = kind;
    const isStart = this.#atBoundary && !this.#isTold[kind];
    const rest = isStart ? text.trimStart() : text;
    const solid = rest.trimEnd().length;
    const start = behind - rest.length;
    const held = this.#heldSpace[kind];
    addSpan(held.spans, { start, end: start + (solid === 0 ? rest.length : solid) });
    if (solid === 0) {
      held.text += rest;
      return;
    }
    this.#tellText(kind, held.text + rest.slice(0, solid), held.spans);
    this.#heldSpace[kind] = { text: rest.slice(solid), spans: [] };
    addSpan(this.#heldSpace[kind].spans, { start: start + solid, end: behind });
    this.#isTold[kind] = true;
    this.#atBoundary = false;
  }

  #tellText(kind: Kind, text: string, spans: TextSpan[]): void {
    if (kind === "reasoning") this.#tell({ type: kind, text });
    else if (!this.#isFull) this.#events.addText(text, spans);
  }

  #tell(event: Exclude<ParseEvent, { type: "text" }>): void {
    if (!this.#isFull) this.#events.add(event);
  }
}
