import type { EngineMessage } from "../protocol/events.ts";
import { parseEngineMessage } from "./engine-messages.ts";

const ACK_EVERY = 64;

/** What comes from an engine: checked, in order, and acknowledged so that it goes on computing. */
export class EngineInbox {
  readonly #acknowledge: (upTo: number) => void;
  #lastSeq = 0;
  #acknowledgedSeq = 0;

  /** @param acknowledge tells the engine that all messages up to this one were handled. */
  constructor(acknowledge: (upTo: number) => void) {
    this.#acknowledge = acknowledge;
  }

  /** The message, or null when it is malformed or not the next one. */
  read(value: unknown): EngineMessage | null {
    const message = parseEngineMessage(value);
    if (message === null || message.seq <= this.#lastSeq) return null;
    this.#lastSeq = message.seq;
    return message;
  }

  /** The last message was handled. */
  handled(): void {
    if (this.#lastSeq - this.#acknowledgedSeq < ACK_EVERY) return;
    this.#acknowledgedSeq = this.#lastSeq;
    this.#acknowledge(this.#lastSeq);
  }
}
