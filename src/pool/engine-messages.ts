import type { EngineMessage, JobEvent } from "../protocol/events.ts";

type Fields = Readonly<Record<string, unknown>>;

const EVENT_FIELDS: Readonly<Record<JobEvent["type"], (event: Fields) => boolean>> = {
  accepted: (event) => isCount(event["promptTokens"]) && isCount(event["cachedTokens"]),
  requeued: () => true,
  resumed: () => true,
  progress: (event) => isCount(event["processed"]) && isCount(event["total"]),
  promptLogprobs: (event) => Array.isArray(event["tokens"]),
  text: (event) =>
    isCount(event["choice"]) && typeof event["text"] === "string" && isCount(event["tokens"]),
  choiceDone: (event) => isCount(event["choice"]) && isCount(event["completionTokens"]),
  jobDone: (event) => isFields(event["timings"]),
  embedded: (event) => Array.isArray(event["vectors"]) && isCount(event["tokens"]),
  tokenized: (event) => Array.isArray(event["tokens"]),
  inspected: (event) => isFields(event["status"]) && Array.isArray(event["status"]["slots"]),
  jobFailed: (event) => typeof event["code"] === "string" && typeof event["message"] === "string",
  cancelled: (event) => isStage(event["stage"]) && isCount(event["step"]),
};

const MESSAGE_FIELDS: Readonly<Record<EngineMessage["type"], (message: Fields) => boolean>> = {
  hello: (message) => typeof message["buildId"] === "string",
  loading: (message) => typeof message["fraction"] === "number",
  ready: (message) => isFields(message["model"]) && isCount(message["model"]["contextLength"]),
  loadFailed: ({ reason, param }) =>
    typeof reason === "string" && (param === undefined || isWord(param)),
  trouble: (message) => isWord(message["cause"]) && typeof message["reason"] === "string",
  step: (message) =>
    isFields(message["load"]) &&
    isCount(message["load"]["step"]) &&
    Array.isArray(message["events"]) &&
    message["events"].every(isEvent),
};

/**
 * A message of an engine, or null when it is none: the engine's memory may be corrupt, so what it
 * says is checked as far as the server builds on it.
 */
export function parseEngineMessage(value: unknown): EngineMessage | null {
  if (!isFields(value) || !isCount(value["seq"])) return null;
  const check = own(MESSAGE_FIELDS, value["type"]);
  return check?.(value) === true ? (value as unknown as EngineMessage) : null;
}

function isEvent(event: unknown): boolean {
  if (!isFields(event) || !Number.isInteger(event["jobId"])) return false;
  return own(EVENT_FIELDS, event["type"])?.(event) === true;
}

function own<Value>(table: Readonly<Record<string, Value>>, key: unknown): Value | null {
  return typeof key === "string" && Object.hasOwn(table, key) ? (table[key] ?? null) : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isWord(value: unknown): boolean {
  return typeof value === "string" && /^\w{1,40}$/.test(value);
}

function isStage(value: unknown): boolean {
  return value === "queue" || value === "prefill" || value === "decode";
}
