import { expect, test } from "bun:test";
import type { GenerateEvent, OwnedRequest } from "../../../src/chat/events.ts";
import { withContentLog } from "../../../src/cli/content-log.ts";
import { silentLog, type LogFields } from "../../../src/lib/log.ts";

const request = {
  model: "m",
  input: { kind: "prompt", prompt: { kind: "text", text: "Hi" }, grammar: null },
} as unknown as OwnedRequest;

test("prompt and answers are logged, also of a request that is given up", async () => {
  const lines: [string, LogFields | undefined][] = [];
  const log = {
    ...silentLog,
    info: (...line: [string, LogFields?]) => void lines.push([line[0], line[1]]),
  };
  let isClosed = false;
  const generate = withContentLog(async function* (): AsyncGenerator<GenerateEvent, void, void> {
    try {
      yield { type: "text", choice: 1, text: "He", logprobs: null };
      yield { type: "text", choice: 1, text: "y", logprobs: null };
      yield { type: "text", choice: 1, text: "!".repeat(9_999), logprobs: null };
    } finally {
      isClosed = true;
    }
  }, log);
  let seen = 0;
  for await (const _event of generate(request, new AbortController().signal)) {
    seen += 1;
    if (seen === 2) break;
  }
  expect(lines).toEqual([
    ["prompt", { model: "m", content: '{"kind":"text","text":"Hi"}' }],
    ["answer", { model: "m", choice: 1, content: "Hey" }],
  ]);
  expect(isClosed).toBe(true);
});
