import type { GenerateEvent, GenerateRequest } from "../chat/events.ts";
import type { Server } from "./generation.ts";

type Events = AsyncGenerator<GenerateEvent, void, void>;

/** What a dialect adds to one answer of the OpenAI routes. */
export interface AnswerExtras {
  /** Watches one generation of the answer; may hold back its end. */
  tap(events: Events, request: GenerateRequest): Events;
  /** Further fields of the frame that tells the end of a choice, each behind a comma; "" = none. */
  readonly endOf: (choice: number) => string;
  /** Adds to the complete object. */
  body(answer: object): object;
}

/** Begins the extras of one answer. */
export type BeginExtras = (server: Server) => AnswerExtras;

/** The OpenAI API's own answers. */
export const noExtras: BeginExtras = () => ({
  tap: (events) => events,
  endOf: () => "",
  body: (answer) => answer,
});
