import { expect, test } from "bun:test";
import { createCheckPrompts } from "../../../src/chat/check-prompts.ts";
import type { OwnedRequest, RawPrompt } from "../../../src/chat/events.ts";
import { invalidRequest, LmError } from "../../../src/lib/errors.ts";
import type { Lease } from "../../../src/pool/pool.ts";
import { BASE, depsWith, leaseWith } from "../../support/generate-fixture.ts";

const { signal } = new AbortController();
const raw = (prompt: RawPrompt): OwnedRequest => ({
  ...BASE,
  input: { kind: "prompt", prompt, format: { kind: "text" } },
});
const text = (length: number): OwnedRequest => raw({ kind: "text", text: "x".repeat(length) });

/** What refuses them; null = nothing. */
async function look(requests: readonly OwnedRequest[], own: Partial<Lease> = {}) {
  let released = 0;
  const lease = leaseWith({ ...own, release: () => void (released += 1) });
  const events = createCheckPrompts(depsWith(lease))(requests, signal);
  const refusal = await Array.fromAsync(events).then(
    () => null,
    (error: unknown) => error,
  );
  expect(released).toBe(requests.length === 0 ? 0 : 1);
  return refusal;
}

test("prompts that leave room for an answer are not refused", async () => {
  expect(await look([text(1), text(99)])).toBeNull();
  expect(await look([])).toBeNull();
});

test("a prompt that fills the context is told by its index", async () => {
  expect(await look([text(99), text(100)])).toMatchObject({
    code: "context_length_exceeded",
    details: { promptTokens: 100, contextLength: 100, param: "prompt[1]" },
  });
});

test("so is one that cannot be read, and what fails them all is thrown as it is", async () => {
  const unreadable = invalidRequest("prompt", "invalid_value", "Token 0 of 'prompt' is 9.");
  const tokenize: Lease["tokenize"] = (prompt) =>
    prompt.kind === "tokens" ? Promise.reject(unreadable) : Promise.resolve([]);
  const requests = [text(1), raw({ kind: "tokens", tokens: [9] })];
  expect(await look(requests, { tokenize })).toMatchObject({
    message: "Token 0 of 'prompt[1]' is 9.",
    details: { param: "prompt[1]" },
  });
  const crashed = new LmError("model_unloaded", { model: "m" }, "It was unloaded.");
  expect(await look(requests, { tokenize: () => Promise.reject(crashed) })).toBe(crashed);
});
