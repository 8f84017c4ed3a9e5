/** Hands a message to the system; `onSent` is called when all of it has left, or cannot. */
type Send = (message: unknown, onSent: () => void) => void;

/** Messages that leave this process in its own time. */
export class Outbox {
  readonly #send: Send;
  #left = 0;
  #empty = Promise.withResolvers<void>();

  constructor(send: Send) {
    this.#send = send;
    this.#empty.resolve();
  }

  send(message: unknown): void {
    if (this.#left === 0) this.#empty = Promise.withResolvers();
    this.#left += 1;
    this.#send(message, this.#onSent);
  }

  /** Resolves when every message sent so far has left. */
  get empty(): Promise<void> {
    return this.#empty.promise;
  }

  readonly #onSent = (): void => {
    this.#left -= 1;
    if (this.#left === 0) this.#empty.resolve();
  };
}
