import { assert } from "../../src/lib/assert.ts";

/** Catches use after disposal and a second disposal. */
export class Lifetime {
  #isOver = false;
  readonly #name: string;
  constructor(name: string) {
    this.#name = name;
  }
  check(): void {
    assert(!this.#isOver, `${this.#name} was used after it was disposed`);
  }
  end(): void {
    assert(!this.#isOver, `${this.#name} was disposed twice`);
    this.#isOver = true;
  }
}

/** A hash of a hash and a number; 32 bits. */
export const mix = (hash: number, value: number): number => {
  let mixed = Math.imul(hash ^ (value + 0x9e3779b9), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
};
