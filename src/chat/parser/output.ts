import type { ParseEvent } from "./parse-event.ts";

export interface OutputOptions {
  newId: () => string;
  /** false = at most one call; everything after it is dropped. */
  parallel: boolean;
  /** Holds back runs of whitespace until it is known what follows them. */
  holdSpace: boolean;
}

type Kind = "text" | "reasoning";

/**
 * Collects events. Whitespace of a text or of reasoning is told once more of the same follows, so
 * that it can be dropped beside calls and at both ends of what has markers around it; the end of an
 * answer without any keeps it.
 */
export class Output {
  readonly #options: OutputOptions;
  #events: ParseEvent[] = [];
  readonly #heldSpace = { text: "", reasoning: "" };
  /** Something else than whitespace was told. */
  readonly #isTold = { text: false, reasoning: false };
  #kind: Kind = "text";
  /** A marker came since the last text: whitespace is only told between two pieces. */
  #atBoundary = false;
  #calls = 0;
  #lastComplete = true;
  #isFull = false;

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
    const events = this.#events;
    this.#events = [];
    return events;
  }

  readonly text = (text: string): void => this.#append("text", text);

  readonly reasoning = (text: string): void => this.#append("reasoning", text);

  /** A marker: whitespace beside it is no beginning and no end of the answer. */
  boundary(): void {
    this.#atBoundary = true;
  }

  call(name: string, id: string | null): number {
    this.#heldSpace.text = "";
    const index = this.#calls++;
    this.#tell({ type: "toolCall", index, id: id ?? this.#options.newId(), name });
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
    const text = this.#heldSpace[this.#kind];
    if (this.#calls === 0 && !this.#atBoundary && text !== "") {
      this.#tell({ type: this.#kind, text });
    }
  }

  #append(kind: Kind, text: string): void {
    if (text === "") return;
    if (!this.#options.holdSpace) {
      this.#tell({ type: kind, text });
      return;
    }
    if (kind !== this.#kind) this.boundary();
    this.#kind = kind;
    const isStart = this.#atBoundary && !this.#isTold[kind];
    const rest = isStart ? text.trimStart() : text;
    const end = rest.trimEnd().length;
    if (end === 0) {
      this.#heldSpace[kind] += rest;
      return;
    }
    this.#tell({ type: kind, text: this.#heldSpace[kind] + rest.slice(0, end) });
    this.#heldSpace[kind] = rest.slice(end);
    this.#isTold[kind] = true;
    this.#atBoundary = false;
  }

  #tell(event: ParseEvent): void {
    if (this.#isFull) return;
    const last = this.#events.at(-1);
    if (last !== undefined && merge(last, event)) return;
    this.#events.push(event);
  }
}

/** Adds a delta to the one before it when both belong together. */
function merge(last: ParseEvent, event: ParseEvent): boolean {
  if ((event.type === "text" || event.type === "reasoning") && last.type === event.type) {
    last.text += event.text;
    return true;
  }
  const sameCall = event.type === "toolArguments" && last.type === "toolArguments";
  if (sameCall && last.index === event.index) {
    last.text += event.text;
    return true;
  }
  return false;
}
