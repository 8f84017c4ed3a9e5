import Ajv2020, { type ValidateFunction } from "ajv/dist/2020";
import { readFileSync } from "node:fs";
import type { StoredResponse } from "../../src/store/response-store.ts";
import { sharedPath } from "../support/shared.ts";
import { fakeModel } from "./fakes.ts";

/** Checks of the native API's bodies: its schema where it lies beside the repository, and our own. */

const path = sharedPath("contracts/lmstudio-rest.schema.json");
const ajv = new Ajv2020({ strict: false, allErrors: true });
const schema =
  path === null ? null : (JSON.parse(readFileSync(path, "utf8")) as { $id: string } & object);
if (schema !== null) ajv.addSchema(schema);

/** Keys that an object of this kind has; always, and at most. Written by hand from the API. */
const KEYS: Record<string, { always: string[]; sometimes?: string[] }> = {
  ErrorBody: { always: ["error"] },
  ChatResponse: { always: ["model_instance_id", "output", "stats"], sometimes: ["response_id"] },
  ModelsResponse: { always: ["models"] },
  LoadResponse: {
    always: ["type", "instance_id", "load_time_seconds", "status"],
    sometimes: ["load_config"],
  },
  UnloadResponse: { always: ["instance_id"] },
  DownloadResponse: {
    always: ["status"],
    sometimes: ["job_id", "total_size_bytes", "started_at", "completed_at"],
  },
  DownloadStatus: {
    always: ["job_id", "status"],
    sometimes: [
      "bytes_per_second",
      "estimated_completion",
      "completed_at",
      "total_size_bytes",
      "downloaded_bytes",
      "started_at",
    ],
  },
  StreamEvent: {
    always: ["type"],
    sometimes: [
      "model_instance_id",
      "load_time_seconds",
      "progress",
      "content",
      "reason",
      "metadata",
      "error",
      "result",
    ],
  },
  V0Extras: { always: ["stats", "model_info", "runtime"] },
  V0ModelsResponse: { always: ["object", "data"] },
  V0Model: {
    always: [
      "id",
      "object",
      "type",
      "publisher",
      "arch",
      "compatibility_type",
      "quantization",
      "state",
      "max_context_length",
    ],
    sometimes: ["loaded_context_length", "capabilities"],
  },
};

/** What is wrong with a body; empty = nothing. */
export function problemsOf(name: string, body: unknown): string[] {
  const keys = KEYS[name];
  const own = keys === undefined ? [] : keyProblems(keys, body as object);
  if (schema === null) return own;
  const validate: ValidateFunction | undefined = ajv.getSchema(`${schema.$id}#/$defs/${name}`);
  if (validate === undefined) return [`no schema ${name}`];
  return validate(body) ? own : [...own, ajv.errorsText(validate.errors)];
}

function keyProblems(
  { always, sometimes = [] }: { always: string[]; sometimes?: string[] },
  body: object,
): string[] {
  const missing = always.filter((key) => !(key in body)).map((key) => `${key} is missing`);
  const known = new Set([...always, ...sometimes]);
  const extra = Object.keys(body).filter((key) => !known.has(key));
  return [...missing, ...extra.map((key) => `${key} is unknown`)];
}

export interface ChatEvent {
  type: string;
  [key: string]: unknown;
}

/** Events of a transcript; the name of each frame is that of its object. */
export function chatEvents(transcript: string): ChatEvent[] {
  return transcript
    .split("\n\n")
    .filter((frame) => frame !== "" && !frame.startsWith(":"))
    .map((frame) => {
      const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? [];
      const event = JSON.parse(data ?? "{}") as ChatEvent;
      if (event.type !== name) throw new Error(`frame ${name} holds ${event.type}`);
      return event;
    });
}

/** Where a stream breaks the order of the API; null = nowhere. */
export function orderProblem(events: readonly ChatEvent[]): string | null {
  const names = events.map(({ type }) => type);
  if (names[0] !== "chat.start") return "does not begin with chat.start";
  if (names.at(-1) !== "chat.end") return "does not end with chat.end";
  if (names.filter((name) => name === "chat.start" || name === "chat.end").length !== 2)
    return "starts or ends twice";
  if (names.filter((name) => name === "error").length > 1) return "has two errors";
  let open: string | null = null;
  let progress = 0;
  for (const { type, ...event } of events.slice(1, -1)) {
    const [block = "", step = ""] = type.split(".");
    if (type === "error" || type === "tool_call.failure") {
      if (open !== null) return `${type} inside ${open}`;
    } else if (step === "start") {
      if (open !== null) return `${type} inside ${open}`;
      open = block;
      progress = 0;
    } else if (open !== block) return `${type} outside its block`;
    else if (step === "end") open = null;
    else if (step === "progress") {
      const now = Number(event["progress"]);
      if (now < progress || now > 1) return "progress goes back";
      progress = now;
    }
  }
  return open === null ? null : `${open} stays open`;
}

/** Templates with the switches that models have. */
export const thinker = fakeModel({
  key: "acme/thinker",
  chatTemplate:
    "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{{ tools }}",
});
export const effort = fakeModel({ key: "acme/effort", chatTemplate: "{{ reasoning_effort }}" });

/** Answers kept by a test. */
export function memoryResponses(): {
  saved: StoredResponse[];
  notSaved: number;
  save(response: StoredResponse): boolean;
  chain(id: string, owner: string): StoredResponse[] | null;
} {
  const saved: StoredResponse[] = [];
  return {
    saved,
    notSaved: 0,
    save: (response) => saved.push(response) > 0,
    chain(id, owner) {
      const found: StoredResponse[] = [];
      for (let next: string | null = id; next !== null;) {
        const response = saved.find((one) => one.id === next && one.owner === owner);
        if (!response) return null;
        found.unshift(response);
        next = response.previousId;
      }
      return found;
    },
  };
}
