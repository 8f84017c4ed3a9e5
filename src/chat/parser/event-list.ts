import type { ParseEvent } from "./parse-event.ts";
import { addSpan, type TextSpan } from "./text-span.ts";

/** Events until they are asked for; deltas that belong together are one. */
export class EventList {
  #events: ParseEvent[] = [];
  /** Of each text among the events. */
  #spans: TextSpan[][] = [];
  #drainedSpans: readonly (readonly TextSpan[])[] = [];

  /** Where each text among the events drained last stands. */
  get textSpans(): readonly (readonly TextSpan[])[] {
    return this.#drainedSpans;
  }

  drain(): ParseEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#drainedSpans = this.#spans;
    this.#spans = [];
    return events;
  }

  /** @param event Anything but a text, which has a place. */
  add(event: Exclude<ParseEvent, { type: "text" }>): void {
    const last = this.#events.at(-1);
    if (last === undefined || !merge(last, event)) this.#events.push(event);
  }

  addText(text: string, spans: TextSpan[]): void {
    const last = this.#events.at(-1);
    const known = this.#spans.at(-1);
    if (last?.type === "text" && known !== undefined) {
      last.text += text;
      for (const span of spans) addSpan(known, span);
    } else {
      this.#events.push({ type: "text", text });
      this.#spans.push(spans);
    }
  }
}

/** Adds a delta to the one before it when both belong together. */
function merge(last: ParseEvent, event: ParseEvent): boolean {
  const isReasoning = event.type === "reasoning" && last.type === "reasoning";
  const isArguments = event.type === "toolArguments" && last.type === "toolArguments";
  if (isReasoning || (isArguments && last.index === event.index)) {
    last.text += event.text;
    return true;
  }
  return false;
}
