import { MAX_TEMPLATE_OUTPUT_LENGTH } from "../../lib/limits.ts";

/** Items of one list. Jinja's sandbox allows ranges of 100,000. */
const MAX_ITEMS = 1_000_000;
/** Characters read and written, and list items made, by filters and methods of one render. */
const MAX_WORK = 256 * 1024 * 1024;
/** Macros inside one another. */
const MAX_DEPTH = 200;

/**
 * One render. It counts what the template makes, so that a hostile one is refused before it holds
 * the memory; its time is bounded from outside. All errors are for the template's author.
 */
export class RenderRun {
  /** The time `strftime_now` tells. */
  readonly now: Date;
  #work = 0;
  #depth = 0;

  constructor(now: Date) {
    this.now = now;
  }

  /** Call before making a string of `length`. */
  checkLength(length: number): void {
    if (length > MAX_TEMPLATE_OUTPUT_LENGTH) throw new Error("the text grows beyond 32 MiB");
  }

  /** Call before making a list of `count`. */
  checkItems(count: number): void {
    if (count > MAX_ITEMS) throw new Error(`a list grows beyond ${MAX_ITEMS} items`);
    this.spend(count);
  }

  spend(units: number): void {
    this.#work += units;
    if (this.#work > MAX_WORK) throw new Error("the template does too much work");
  }

  enter(): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new Error("maximum recursion depth exceeded");
  }

  leave(): void {
    this.#depth -= 1;
  }
}

/** Text written so far. */
export class Output {
  #run: RenderRun;
  #text = "";

  constructor(run: RenderRun) {
    this.#run = run;
  }

  write(text: string): void {
    this.#run.checkLength(this.#text.length + text.length);
    this.#text += text;
  }

  get text(): string {
    return this.#text;
  }
}
