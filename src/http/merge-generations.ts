import type { GenerateEvent } from "../chat/events.ts";
import { assert } from "../lib/assert.ts";
import { hasCode } from "../lib/errors.ts";
import type { GenerationScope } from "./generation.ts";

/** An event and the index of the generation it belongs to. */
export interface MergedEvent {
  source: number;
  event: GenerateEvent;
}

type Events = AsyncGenerator<GenerateEvent, void, void>;
type Step = { source: number } & (
  { result: IteratorResult<GenerateEvent, void> } | { error: unknown }
);

/** Generations of one request that run at the same time; the others wait their turn. */
const CONCURRENCY = 8;

/**
 * Runs several generations at once and passes their events on as they come. The first failure ends
 * all of them. Nothing is passed on before each of them has begun or was checked: the refusal of one
 * must find the status unsent, whatever the others have computed meanwhile. A generation for which the
 * queue has no room beside the others of its request waits for one of them.
 *
 * @param scope Aborted when not all generations reached their end; bugs that come up then are logged by it.
 * @param check Refuses what the generations of these indices would, without running them.
 */
export async function* mergeGenerations(
  starts: readonly (() => Events)[],
  scope: Pick<GenerationScope, "abort" | "logBug">,
  check: (sources: readonly number[]) => Promise<void>,
): AsyncGenerator<MergedEvent, void, void> {
  const [only] = starts;
  // Nearly every request has one generation, which needs no race.
  if (only !== undefined && starts.length === 1) {
    for await (const event of only()) yield { source: 0, event };
    return;
  }
  const later = [...starts.keys()];
  /** Neither begun nor checked. */
  const unproven = new Set(later.splice(0, CONCURRENCY));
  if (later.length > 0) await check(later);
  const waiting = [...starts.entries()];
  const running = new Map<number, Events>();
  const steps = new Map<number, Promise<Step>>();
  const begun = new Set<number>();
  const held: MergedEvent[] = [];
  let concurrency = CONCURRENCY;
  const advance = (source: number, events: Events): void => {
    const step = events.next().then(
      (result) => ({ source, result }),
      (error: unknown) => ({ source, error }),
    );
    steps.set(source, step);
  };
  try {
    for (;;) {
      for (const [source, start] of waiting.splice(0, concurrency - running.size)) {
        const events = start();
        running.set(source, events);
        advance(source, events);
      }
      if (steps.size === 0) return;
      const step = await Promise.race(steps.values());
      const { source } = step;
      const [events, start] = [running.get(source), starts[source]];
      assert(events !== undefined && start !== undefined, "a step is of a generation that runs");
      if ("error" in step || step.result.done) {
        running.delete(source);
        steps.delete(source);
      }
      if ("error" in step) {
        const isCrowded = hasCode(step.error, "queue_full") && !begun.has(source);
        if (!isCrowded || running.size === 0) throw step.error;
        waiting.unshift([source, start]);
        concurrency = running.size;
        continue;
      }
      begun.add(source);
      unproven.delete(source);
      if (!step.result.done) {
        advance(source, events);
        held.push({ source, event: step.result.value });
      }
      if (begun.size < Math.min(concurrency, starts.length)) continue;
      // Where the queue is short some of the first wait their turn too.
      if (unproven.size > 0) await check([...unproven]);
      unproven.clear();
      yield* held.splice(0);
    }
  } catch (error) {
    if (running.size > 0) scope.abort.abort(error);
    throw error;
  } finally {
    if (running.size > 0) scope.abort.abort();
    await end(running, steps, scope);
  }
}

/** What they have generated until now belongs to this request. */
async function end(
  running: ReadonlyMap<number, Events>,
  steps: ReadonlyMap<number, Promise<Step>>,
  scope: Pick<GenerationScope, "logBug">,
): Promise<void> {
  const ending = [...running.values()].map((events) => events.return());
  for (const last of await Promise.allSettled([...ending, ...steps.values()])) {
    if (last.status === "rejected") scope.logBug(last.reason);
    else if ("error" in last.value) scope.logBug(last.value.error);
  }
}
