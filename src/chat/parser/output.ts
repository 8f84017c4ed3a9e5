import type { ParseEvent } from "./parse-event.ts";

export interface OutputOptions {
  newId: () => string;
  /** false = at most one call; everything after it is dropped. */
  parallel: boolean;
  /** Holds back runs of whitespace until it is known what follows them. */
  holdSpace: boolean;
}

/**
 * Collects events. Whitespace of a text or of reasoning is told once something follows it, so that
 * it can be dropped beside markers and calls; the end of an answer without calls keeps it.
 */
export class Output {
  readonly #options: OutputOptions;
  #events: ParseEvent[] = [];
  #heldSpace = "";
  #kind: "text" | "reasoning" = "text";
  /** Whitespace is dropped until something else comes. */
  #atStart = false;
  #hasText = false;
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
    return this.#hasText;
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

  /** Whitespace on both sides of this point is not part of the answer. */
  boundary(): void {
    this.#heldSpace = "";
    this.#atStart = true;
  }

  call(name: string, id: string | null): number {
    this.#heldSpace = "";
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
    this.#atStart = !this.#hasText;
    if (!this.#options.parallel) this.#isFull = true;
  }

  /** The answer is over; whatever follows is not part of it. */
  stop(): void {
    this.#heldSpace = "";
    this.#isFull = true;
  }

  end(): void {
    if (this.#calls === 0 && !this.#atStart && this.#heldSpace !== "") {
      this.#tell({ type: this.#kind, text: this.#heldSpace });
    }
    this.#heldSpace = "";
  }

  #append(kind: "text" | "reasoning", text: string): void {
    if (text === "") return;
    if (kind !== this.#kind) this.boundary();
    this.#kind = kind;
    if (!this.#options.holdSpace) {
      this.#tell({ type: kind, text });
      return;
    }
    const start = this.#atStart ? text.length - text.trimStart().length : 0;
    const end = text.trimEnd().length;
    if (end <= start) {
      if (!this.#atStart) this.#heldSpace += text;
      return;
    }
    this.#tell({ type: kind, text: this.#heldSpace + text.slice(start, end) });
    this.#heldSpace = text.slice(end);
    this.#atStart = false;
    if (kind === "text") this.#hasText = true;
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
