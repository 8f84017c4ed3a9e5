import type { GenerateEvent } from "../chat/events.ts";

/** An event and the index of the generation it belongs to. */
export interface MergedEvent {
  source: number;
  event: GenerateEvent;
}

type Events = AsyncGenerator<GenerateEvent, void, void>;
interface Step {
  source: number;
  result: IteratorResult<GenerateEvent, void>;
}

/** Generations of one request that run at the same time; the others wait their turn. */
const CONCURRENCY = 8;

/**
 * Runs several generations at once and passes their events on as they come. The first failure ends
 * all of them. Nothing is passed on before each of those that run first has begun: the refusal of
 * one of them must find the status unsent, whatever the others have computed meanwhile.
 *
 * @param abort Aborted when not all generations reached their end.
 */
export async function* mergeGenerations(
  starts: readonly (() => Events)[],
  abort: AbortController,
): AsyncGenerator<MergedEvent, void, void> {
  const [only] = starts;
  // Nearly every request has one generation, which needs no race.
  if (only !== undefined && starts.length === 1) {
    for await (const event of only()) yield { source: 0, event };
    return;
  }
  const waiting = [...starts.entries()];
  const running = new Map<number, Events>();
  const steps = new Map<number, Promise<Step>>();
  const begun = new Set<number>();
  const held: MergedEvent[] = [];
  const advance = (source: number, events: Events): void => {
    const step = events.next().then((result) => ({ source, result }));
    // Only the first failure is thrown; the others end because of it.
    step.catch(() => undefined);
    steps.set(source, step);
  };
  try {
    for (;;) {
      for (const [source, start] of waiting.splice(0, CONCURRENCY - running.size)) {
        const events = start();
        running.set(source, events);
        advance(source, events);
      }
      if (steps.size === 0) return;
      const { source, result } = await Promise.race(steps.values());
      const events = running.get(source);
      if (result.done || !events) {
        running.delete(source);
        steps.delete(source);
      } else {
        advance(source, events);
        begun.add(source);
        held.push({ source, event: result.value });
      }
      if (begun.size >= Math.min(CONCURRENCY, starts.length)) yield* held.splice(0);
    }
  } finally {
    if (running.size > 0) abort.abort();
    for (const events of running.values()) void events.return().catch(() => undefined);
  }
}
