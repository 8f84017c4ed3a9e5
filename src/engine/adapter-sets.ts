import { invalidRequest } from "../lib/errors.ts";
import type { AdapterScale, LoadOptions } from "../protocol/commands.ts";

/**
 * Which LoRA adapters a sequence is computed with, and how strongly. Sequences of different sets
 * share neither cells nor decodes: the adapters change every key and value.
 */
export interface AdapterSet {
  /** Equal sets have equal keys; "" = none. */
  readonly key: string;
  /** By the adapters' numbers. */
  readonly scales: readonly number[];
}

export const NO_ADAPTERS: AdapterSet = Object.freeze({ key: "", scales: [] });

/** The adapters of one loaded model and how requests name them. */
export class AdapterSets {
  readonly #names: readonly string[];
  /** For jobs that say nothing. */
  readonly standard: AdapterSet;

  constructor(loaded: LoadOptions["adapters"] = []) {
    this.#names = loaded.map(({ name }) => name);
    this.standard = setOf(loaded.map(({ scale }) => scale));
  }

  /**
   * The set that a job asks for; adapters it does not name are off.
   * @throws LmError invalid_request for an adapter that the model was not loaded with.
   */
  of(asked: readonly AdapterScale[] | undefined): AdapterSet {
    if (asked === undefined) return this.standard;
    const scales = this.#names.map(() => 0);
    for (const [index, { adapter, scale }] of asked.entries()) {
      scales[this.#numberOf(adapter, `lora[${index}].id`)] = scale;
    }
    return setOf(scales);
  }

  #numberOf(adapter: number | string, param: string): number {
    const number = typeof adapter === "number" ? adapter : this.#names.indexOf(adapter);
    if (this.#names[number] !== undefined) return number;
    const known = this.#names.map((name, index) => `${index} ("${name}")`).join(", ");
    const has =
      known === "" ? "was loaded without LoRA adapters" : `has the LoRA adapters ${known}`;
    throw invalidRequest(param, "invalid_value", `Invalid '${param}': the model ${has}.`);
  }
}

function setOf(scales: readonly number[]): AdapterSet {
  return scales.some((scale) => scale !== 0) ? { key: scales.join(" "), scales } : NO_ADAPTERS;
}
