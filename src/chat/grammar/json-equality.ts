import { isSchemaObject } from "./schema-source.ts";
import type { WorkBudget } from "./work-budget.ts";

/** Characters written or compared in the time of a step. */
const CHARACTERS_PER_STEP = 16;

/** Whether JSON values are equal. Each object is written out once, however often it is compared. */
export class JsonEquality {
  readonly #budget: WorkBudget;
  readonly #texts = new Map<object, string>();
  readonly #lengths = new Map<string, number>();

  /** @param budget What is written out is taken from it. */
  constructor(budget: WorkBudget) {
    this.#budget = budget;
  }

  same(a: unknown, b: unknown): boolean {
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
    const [one, other] = [this.text(a), this.text(b)];
    if (one.length !== other.length) return false;
    this.#spend(one.length);
    return one === other;
  }

  /** JSON text that is equal for equal values. */
  text(value: unknown): string {
    if (typeof value !== "object" || value === null) {
      const text = JSON.stringify(value);
      this.#spend(text.length);
      return text;
    }
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    const text = canonical(value);
    this.#spend(text.length);
    this.#texts.set(value, text);
    return text;
  }

  /** Code points of a text. */
  lengthOf(text: string): number {
    const known = this.#lengths.get(text);
    if (known !== undefined) return known;
    let length = 0;
    for (const _ of text) length += 1;
    this.#spend(text.length);
    this.#lengths.set(text, length);
    return length;
  }

  #spend(characters: number): void {
    this.#budget.spend(1 + Math.floor(characters / CHARACTERS_PER_STEP));
  }
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isSchemaObject(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
