import type { RenderRun } from "./render-run.ts";
import type { Value } from "./value.ts";

/** Variables of a template, of one turn of a loop, or of a macro's call. */
export class Scope {
  readonly run: RenderRun;
  readonly #parent: Scope | null;
  readonly #variables = new Map<string, Value>();

  constructor(run: RenderRun, parent: Scope | null) {
    this.run = run;
    this.#parent = parent;
  }

  child(): Scope {
    return new Scope(this.run, this);
  }

  get(name: string): Value {
    if (this.#variables.has(name)) return this.#variables.get(name);
    return this.#parent === null ? undefined : this.#parent.get(name);
  }

  /** Forgets its own variables: the next turn of a loop begins empty. */
  clear(): void {
    this.#variables.clear();
  }

  set(name: string, value: Value): void {
    this.#variables.set(name, value);
  }
}
