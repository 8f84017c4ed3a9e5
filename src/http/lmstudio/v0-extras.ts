import { Type, type Static } from "typebox";
import type { GenerateEvent, GenerateRequest } from "../../chat/events.ts";
import type { DraftCounts } from "../../protocol/events.ts";
import type { AnswerExtras } from "../answer-extras.ts";
import type { Deps } from "../deps.ts";
import { draftFields, toDraftStats } from "../draft-stats.ts";
import type { Server } from "../generation.ts";
import { oneOf } from "../schema.ts";

/** Three objects more than the OpenAI API's answers have. */
export const V0Extras = Type.Object({
  stats: Type.Object({
    tokens_per_second: Type.Number(),
    time_to_first_token: Type.Number({ description: "Seconds." }),
    generation_time: Type.Number({ description: "Seconds." }),
    stop_reason: oneOf(
      [
        "eosFound",
        "stopStringFound",
        "maxPredictedTokensReached",
        "contextLengthReached",
        "toolCalls",
      ],
      "Why it ended.",
    ),
    ...draftFields,
  }),
  model_info: Type.Object({
    arch: Type.String(),
    quant: Type.String(),
    format: Type.Literal("gguf"),
    context_length: Type.Integer(),
  }),
  runtime: Type.Object({
    name: Type.String(),
    version: Type.String(),
    supported_formats: Type.Array(Type.String()),
  }),
});
export type V0Extras = Static<typeof V0Extras>;

type Finished = Extract<GenerateEvent, { type: "finished" }>;
type Timings = Extract<GenerateEvent, { type: "done" }>["timings"];
type StopReason = V0Extras["stats"]["stop_reason"];

/** Gathers what one answer of /api/v0 adds; of several generations the sums. */
export function v0Extras({ deps }: Server): AnswerExtras {
  const facts = new AnswerFacts();
  return {
    tap: (events, request) => endsHeld(events, facts.observer(request)),
    endOf: (choice) => `,${JSON.stringify(toExtras(deps, facts, choice)).slice(1, -1)}`,
    body: (answer) => ({ ...answer, ...toExtras(deps, facts, 0) }),
  };
}

/** The same events, but ends are told with the times, which come after them. */
async function* endsHeld(
  events: AsyncGenerator<GenerateEvent, void, void>,
  observe: (event: GenerateEvent) => void,
): AsyncGenerator<GenerateEvent, void, void> {
  const held: Finished[] = [];
  for await (const event of events) {
    observe(event);
    if (event.type === "finished") held.push(event);
    else {
      if (event.type === "done") yield* held.splice(0);
      yield event;
    }
  }
  yield* held;
}

class AnswerFacts {
  model = "";
  tokens = 0;
  ttftMs = 0;
  generationMs = 0;
  drafts: DraftCounts | undefined;
  /** By the index of the choice in the answer. */
  readonly #stopReasons = new Map<number, StopReason>();
  #choices = 0;

  /** Of the next generation, whose choices follow those of the ones before. */
  observer({ choices, maxTokens }: GenerateRequest): (event: GenerateEvent) => void {
    const first = this.#choices;
    this.#choices += choices;
    return (event) => {
      if (event.type === "started") this.model = event.model;
      else if (event.type === "finished") {
        this.tokens += event.completionTokens;
        this.#stopReasons.set(first + event.choice, stopReason(event, maxTokens));
      } else if (event.type === "done") this.#time(event.timings);
    };
  }

  stopReason(choice: number): StopReason {
    return this.#stopReasons.get(choice) ?? "eosFound";
  }

  #time({ ttftMs, queuedMs, decodeMs, drafts }: Timings): void {
    if (drafts !== undefined) this.drafts = addDrafts(this.drafts, drafts);
    this.ttftMs = Math.max(this.ttftMs, ttftMs - queuedMs);
    this.generationMs = Math.max(this.generationMs, decodeMs);
  }
}

function addDrafts(sum: DraftCounts | undefined, more: DraftCounts): DraftCounts {
  if (sum === undefined) return more;
  return {
    model: more.model,
    total: sum.total + more.total,
    accepted: sum.accepted + more.accepted,
    rejected: sum.rejected + more.rejected,
    ignored: sum.ignored + more.ignored,
  };
}

function stopReason(
  { reason, stop, completionTokens }: Finished,
  maxTokens: number | null,
): StopReason {
  if (reason === "tool_calls") return "toolCalls";
  if (reason === "stop") return stop === null ? "eosFound" : "stopStringFound";
  return maxTokens !== null && completionTokens >= maxTokens
    ? "maxPredictedTokensReached"
    : "contextLengthReached";
}

/** @param choice Whose end is told. */
function toExtras({ pool, version }: Deps, facts: AnswerFacts, choice: number): V0Extras {
  const instance = pool.instances().find(({ identifier }) => identifier === facts.model);
  const seconds = facts.generationMs / 1000;
  return {
    stats: {
      tokens_per_second: seconds > 0 ? facts.tokens / seconds : 0,
      time_to_first_token: facts.ttftMs / 1000,
      generation_time: seconds,
      stop_reason: facts.stopReason(choice),
      ...toDraftStats(facts.drafts),
    },
    model_info: {
      arch: instance?.model.architecture ?? "unknown",
      quant: instance?.model.quantization ?? "unknown",
      format: "gguf",
      context_length: instance?.info?.contextLength ?? 0,
    },
    runtime: {
      name: runtimeName(instance?.info?.devices ?? []),
      version: version.engine.replace(/^v/, ""),
      supported_formats: ["gguf"],
    },
  };
}

/** Such as "llama.cpp-linux-x86_64-vulkan". */
function runtimeName(devices: readonly string[]): string {
  const device = devices.find((name) => !name.startsWith("CPU")) ?? "CPU";
  const backend = /^[A-Za-z]+/.exec(device)?.[0].toLowerCase() ?? "cpu";
  const cpu = process.arch === "x64" ? "x86_64" : process.arch;
  const system = process.platform === "darwin" ? "mac" : process.platform;
  return `llama.cpp-${system}-${cpu}-${backend}`;
}
