import { MarkerSet } from "./marker-set.ts";

/** A routine that reads input: it yields when it needs more and returns what it made of it. */
export type Step<T> = Generator<void, T, void>;

/** Longest head of a call that is read ahead again as text, all heads of one answer together. */
const REWIND_LIMIT = 1 << 20;

/** How the model's output ended. `cut`: at a limit, not by its own decision. */
export type InputEnd = "open" | "ended" | "cut";

/**
 * Takes a whole chunk in place of the routine that waits, so that a long value does not wake the
 * routines above it for every chunk. Takes all of it or, returning false, nothing.
 */
export type ChunkConsumer = (chunk: string) => boolean;

/** Text that arrives in chunks. Routines consume it from the front; what they left waits. */
export class Input {
  #text = "";
  #at = 0;
  /** Characters of all chunks. */
  #pushed = 0;
  #end: InputEnd = "open";
  /** Where `rewind` goes back to; null = nowhere. */
  #mark: number | null = null;
  /** Chunks taken since the mark that are no longer in the buffer. */
  #taken: string[] = [];
  #rewound = 0;
  #consumer: ChunkConsumer | null = null;

  /** False when a consumer took the chunk and the routine need not be woken. */
  push(chunk: string): boolean {
    this.#pushed += chunk.length;
    const isConsumed = this.#consumer !== null && this.available === 0 && this.#consumer(chunk);
    if (this.#mark !== null) {
      this.#taken.push(this.#text.slice(this.#mark, this.#at), isConsumed ? chunk : "");
      this.#mark = 0;
    }
    const rest = this.rest;
    this.#at = 0;
    if (isConsumed) {
      this.#text = "";
      return false;
    }
    this.#consumer = null;
    this.#text = rest === "" ? chunk : rest + chunk;
    return true;
  }

  finish(end: Exclude<InputEnd, "open">): void {
    this.#end = end;
    this.#consumer = null;
  }

  /** For the routine that is about to wait with nothing left to read. */
  consumeNext(consumer: ChunkConsumer): void {
    this.#consumer = consumer;
  }

  get end(): InputEnd {
    return this.#end;
  }

  /** Nothing is left and nothing will come. */
  get isExhausted(): boolean {
    return this.#end !== "open" && this.#at === this.#text.length;
  }

  /** Characters read so far; one that was put back is not. */
  get position(): number {
    return this.#pushed - this.available;
  }

  /** Characters that can be read without waiting. */
  get available(): number {
    return this.#text.length - this.#at;
  }

  /** What can be read without waiting. */
  get rest(): string {
    return this.#at === 0 ? this.#text : this.#text.slice(this.#at);
  }

  charAt(offset: number): string {
    return this.#text.charAt(this.#at + offset);
  }

  charCodeAt(offset: number): number {
    return this.#text.charCodeAt(this.#at + offset);
  }

  take(count: number): string {
    const text = this.#text.slice(this.#at, this.#at + count);
    this.#at += text.length;
    return text;
  }

  /** Puts back what was taken last. Not between `mark` and `commit`. */
  unread(text: string): void {
    const at = this.#at - text.length;
    if (at >= 0 && this.#text.startsWith(text, at)) {
      this.#at = at;
      return;
    }
    this.#text = text + this.rest;
    this.#at = 0;
  }

  /** From here on the text can be brought back. False when too much was read twice already. */
  mark(): boolean {
    if (this.#rewound > REWIND_LIMIT) return false;
    this.#mark = this.#at;
    this.#taken = [];
    return true;
  }

  /** What was taken since `mark` is gone for good. */
  commit(): void {
    this.#mark = null;
    this.#taken = [];
  }

  rewind(): void {
    if (this.#mark === null) return;
    this.#rewound += this.#at - this.#mark;
    this.#at = this.#mark;
    this.#mark = null;
    if (this.#taken.length === 0) return;
    const earlier = this.#taken.join("");
    this.#taken = [];
    this.#rewound += earlier.length;
    this.#text = earlier + this.rest;
    this.#at = 0;
  }

  /** Waits for `count` characters; false when the input ends before. */
  *fill(count: number): Step<boolean> {
    while (this.available < count && this.#end === "open") yield;
    return this.available >= count;
  }

  /** The next character, "" at the end. */
  *peek(): Step<string> {
    yield* this.fill(1);
    return this.charAt(0);
  }

  /** Skips whitespace and returns it. */
  *skipSpace(): Step<string> {
    let skipped = "";
    for (;;) {
      let count = 0;
      while (count < this.available && isSpace(this.charCodeAt(count))) count++;
      skipped += this.take(count);
      if (this.available > 0 || this.#end !== "open") return skipped;
      yield;
    }
  }

  /** Consumes `literal` when it is next. Waits while it may still become it. */
  *eat(literal: string): Step<boolean> {
    while (this.available < literal.length && this.#end === "open") {
      if (!literal.startsWith(this.#text.slice(this.#at))) return false;
      yield;
    }
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.take(literal.length);
    return true;
  }

  /** Like `eat`, for markers that close what was begun: one that the output's end cut counts too. */
  *eatClosing(literal: string): Step<boolean> {
    if (yield* this.eat(literal)) return true;
    const rest = this.rest;
    if (this.#end === "open" || rest === "" || !literal.startsWith(rest)) return false;
    this.take(rest.length);
    return true;
  }

  /** Whether one of `literals` is next, without consuming it. */
  *looksAt(literals: readonly string[]): Step<boolean> {
    for (;;) {
      const rest = this.#text.slice(this.#at, this.#at + 128);
      if (literals.some((literal) => rest.startsWith(literal))) return true;
      const open = this.#end === "open" && literals.some((literal) => literal.startsWith(rest));
      if (!open) return false;
      yield;
    }
  }

  /** The output ended within one of `literals`, which is next. */
  isCutWithin(literals: readonly string[]): boolean {
    const { rest } = this;
    return this.#end !== "open" && literals.some((literal) => literal.startsWith(rest));
  }

  *eatAny(literals: readonly string[]): Step<string | null> {
    for (const literal of literals) if (yield* this.eat(literal)) return literal;
    return null;
  }

  /**
   * Hands text over to `emit` until one of the markers, which is consumed and returned. Holds back
   * what may still become a marker. null = the input ended first, everything was handed over.
   *
   * @param dropsPartial Where the input ends within a marker, that beginning is dropped.
   */
  *until(
    markers: MarkerSet,
    emit: (text: string) => void,
    dropsPartial = false,
  ): Step<string | null> {
    for (;;) {
      const hit = markers.find(this.#text, this.#at);
      const isOpen = this.#end === "open";
      const partial =
        isOpen || dropsPartial ? markers.partialFrom(this.#text, this.#at) : this.#text.length;
      if (hit !== null && (!isOpen || partial > hit.at)) {
        if (hit.at > this.#at) emit(this.take(hit.at - this.#at));
        return this.take(hit.marker.length);
      }
      const safe = Math.min(partial, hit?.at ?? partial);
      if (safe > this.#at) emit(this.take(safe - this.#at));
      if (!isOpen) {
        this.take(this.available);
        return null;
      }
      this.#consumer = (chunk) => {
        if (markers.mayTouch(chunk)) return false;
        emit(chunk);
        return true;
      };
      yield;
    }
  }

  /** The text before the first of `markers`; null when none comes within `limit` characters. */
  *readUntil(markers: MarkerSet, limit: number): Step<{ text: string; marker: string } | null> {
    let text = "";
    for (;;) {
      const hit = markers.find(this.#text, this.#at);
      const isOpen = this.#end === "open";
      const partial = isOpen ? markers.partialFrom(this.#text, this.#at) : this.#text.length;
      const found = hit !== null && partial > hit.at;
      text += this.take(
        found ? hit.at - this.#at : Math.min(partial, hit?.at ?? partial) - this.#at,
      );
      if (text.length > limit) return null;
      if (found) return { text, marker: this.take(hit.marker.length) };
      if (!isOpen) return { text, marker: "" };
      yield;
    }
  }
}

export function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0xfeff;
}

/** Runs a routine over a whole text at once. */
export function readWhole<T>(text: string, routine: (input: Input) => Step<T>): T {
  const input = new Input();
  input.push(text);
  input.finish("ended");
  const step = routine(input);
  for (;;) {
    const { done, value } = step.next();
    if (done) return value;
  }
}
