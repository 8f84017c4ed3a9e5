import type { LmError } from "../lib/errors.ts";

export interface End {
  reason: "unloaded" | "shutdown";
  /** For those who still use or await the instance. */
  error: LmError;
}

/**
 * Whether an instance leaves, why, and who waits for that. It leaves for good when it was told to, or
 * for others who want its memory, as long as one of them does. Three things can be waited for: that it
 * is gone, that its memory is free (it may load anew after that), and that it is decided which.
 */
export class Leaving {
  #end: End | null = null;
  #stopError: LmError | null = null;
  /** Those who wait for its memory, and may still do without. */
  readonly #claimants = new Set<object>();
  readonly #gone = Promise.withResolvers<void>();
  /** Its memory is free: it is gone, or loads anew and asks for memory like any other. */
  #freed = Promise.withResolvers<void>();
  #decided = Promise.withResolvers<void>();

  get isEnding(): boolean {
    return this.#end !== null || this.#claimants.size > 0;
  }

  /** What those who use or await it fail with; null = they may finish. */
  get stopError(): LmError | null {
    return this.#stopError;
  }

  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** It is gone, or stays after all. */
  get decided(): Promise<void> {
    return this.#decided.promise;
  }

  /** From now on it leaves for good. @returns why: the first who said so is right. */
  endFor(end: End): End {
    this.#end ??= end;
    return this.#end;
  }

  /** It leaves at once, for good. */
  stopFor(end: End): void {
    this.endFor(end);
    this.#stopError = end.error;
  }

  /** `claimant` wants its memory. Resolves when that is free. */
  claim(claimant: object): Promise<void> {
    this.#claimants.add(claimant);
    return this.#freed.promise;
  }

  /** `claimant` does without. */
  unclaim(claimant: object): void {
    if (this.#claimants.delete(claimant)) this.#stayIfUnclaimed();
  }

  /** Who waits for what the engine before held has it now, and not for the next one. */
  giveUpMemory(): void {
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
    if (this.#claimants.size === 0) return;
    this.#claimants.clear();
    this.#stayIfUnclaimed();
  }

  /** It is gone. */
  settle(): void {
    this.#freed.resolve();
    this.#gone.resolve();
    this.#decided.resolve();
  }

  #stayIfUnclaimed(): void {
    if (this.isEnding) return;
    this.#decided.resolve();
    this.#decided = Promise.withResolvers();
  }
}
