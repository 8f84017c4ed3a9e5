import { assert } from "../lib/assert.ts";
import type { NativePointer } from "./native-pointer.ts";

/**
 * A native object with one owner. Using it after it was freed or given away, and freeing it twice,
 * are AssertionErrors instead of crashes.
 */
export class NativeHandle {
  readonly #name: string;
  readonly #free: (pointer: NativePointer) => void;
  #pointer: NativePointer | null;

  /** `name` appears in the assertions. */
  constructor(name: string, pointer: NativePointer, free: (pointer: NativePointer) => void) {
    this.#name = name;
    this.#pointer = pointer;
    this.#free = free;
  }

  get pointer(): NativePointer {
    assert(this.#pointer !== null, `${this.#name} used after it was disposed`);
    return this.#pointer;
  }

  /** Asserts that the object is there, for calls that do not take its pointer. */
  assertLive(): void {
    assert(this.#pointer !== null, `${this.#name} used after it was disposed`);
  }

  /** Gives up ownership without freeing. */
  release(): NativePointer {
    const { pointer } = this;
    this.#pointer = null;
    return pointer;
  }

  dispose(): void {
    assert(this.#pointer !== null, `${this.#name} disposed twice`);
    const pointer = this.#pointer;
    this.#pointer = null;
    this.#free(pointer);
  }
}
