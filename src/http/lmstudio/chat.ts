import { hasCode } from "../../lib/errors.ts";
import { randomHex } from "../../lib/id.ts";
import { LATE_COMMIT_MS } from "../../lib/limits.ts";
import type { Lease } from "../../pool/pool.ts";
import { GenerationScope, type Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { holdOpen, type RequestContext } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { settlesWithin } from "../settles-within.ts";
import { recordFailure, streamAnswer } from "../stream-answer.ts";
import { parseChat, toGenerateRequest, toUserText, toWire } from "./chat.decode.ts";
import { type ChatModel, chatModel } from "./chat-model.ts";
import { ChatAnswer, ChatEvent, ExtendedChat, NativeChat } from "./chat.schema.ts";
import { ChatTurn } from "./chat-turn.ts";
import {
  NATIVE_CHAT_EXAMPLE,
  NATIVE_CHAT_REQUEST_EXAMPLE,
  NATIVE_CHAT_STREAM_EXAMPLE,
} from "./examples.ts";
import { earlierChat, NEW_CHAT, type StoredChat, type StoredMessage } from "./stored-chat.ts";

/** POST /api/v1/chat: a chat that the server remembers. */
export function nativeChat(server: Server): PostRoute {
  const { deps } = server;
  return {
    method: "POST",
    path: "/api/v1/chat",
    permission: "inference",
    body: deps.settings.restExtensions ? ExtendedChat : NativeChat,
    bodyExample: NATIVE_CHAT_REQUEST_EXAMPLE,
    doc: {
      summary: "Answer a message of a chat that the server remembers",
      tag: "LM Studio",
      response: { description: "The answer.", schema: ChatAnswer, example: NATIVE_CHAT_EXAMPLE },
      stream: { schema: ChatEvent, example: NATIVE_CHAT_STREAM_EXAMPLE },
    },
    async answer(context, body) {
      const request = parseChat(body, deps.settings.restExtensions);
      const previousId = request.previous_response_id ?? null;
      const earlier =
        previousId === null ? NEW_CHAT : earlierChat(deps, previousId, context.caller.id);
      const target = await chatModel(deps, request);
      const question: StoredMessage = {
        role: "user",
        text: toUserText(request.input),
        reasoning: null,
      };
      const scope = new GenerationScope(server, context, toWire);
      const chat = new ChatRun({ server, context, scope, request, target, earlier, question });
      if (request.stream === true) {
        const encodeError = (error: unknown): string =>
          [...chat.turn.fail(error)].map(frame).join("");
        return streamAnswer(server, context, scope, chat.frames(), encodeError);
      }
      holdOpen(context);
      try {
        return jsonResponse(await chat.whole());
      } finally {
        scope.close();
      }
    },
  };
}

/** At most ten events a second. */
const LOAD_PROGRESS_MS = 100;

const releaseLease = (lease: Lease): void => lease.release();

const frame = (event: ChatEvent): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

interface ChatInputs {
  server: Server;
  context: RequestContext;
  scope: GenerationScope;
  request: ExtendedChat;
  target: ChatModel;
  earlier: StoredChat;
  question: StoredMessage;
}

/** One request on its way to a complete answer. */
class ChatRun {
  readonly turn: ChatTurn;
  readonly #inputs: ChatInputs;
  /** Keeps a model loaded for this answer until it is complete. */
  #lease: Lease | null = null;

  constructor(inputs: ChatInputs) {
    this.#inputs = inputs;
    this.turn = new ChatTurn(inputs.target.instanceId);
  }

  /** The answer as one object. */
  async whole(): Promise<ChatAnswer> {
    const events = this.#events();
    for (;;) {
      const { done, value } = await events.next();
      if (done === true) return value;
    }
  }

  /** The answer as events; a failure after the first is one of them. */
  async *frames(): AsyncGenerator<string, void, void> {
    const { server, context } = this.#inputs;
    try {
      const result = yield* this.#frames();
      yield frame({ type: "chat.end", result });
    } catch (error) {
      if (!this.turn.hasStarted) throw error;
      recordFailure(server, context, error);
      for (const event of this.turn.fail(error)) yield frame(event);
    }
  }

  async *#frames(): AsyncGenerator<string, ChatAnswer, void> {
    const events = this.#events();
    try {
      for (;;) {
        const { done, value } = await events.next();
        if (done === true) return value;
        yield frame(value);
      }
    } finally {
      await events.return(this.turn.result(null));
    }
  }

  async *#events(): AsyncGenerator<ChatEvent, ChatAnswer, void> {
    const { scope, request, earlier, question } = this.#inputs;
    const systemPrompt = request.system_prompt?.toWellFormed() ?? earlier.systemPrompt;
    const chat = { systemPrompt, messages: [...earlier.messages, question] };
    try {
      yield* this.#load();
      for await (const event of scope.run(toGenerateRequest(request, chat))) {
        yield* this.turn.observe(event);
      }
      yield* this.turn.finish();
      return this.turn.result(this.#save());
    } finally {
      this.#lease?.release();
    }
  }

  /** Loads the model if it must be. */
  async *#load(): AsyncGenerator<ChatEvent, void, void> {
    const { server, scope, target } = this.#inputs;
    if (!target.needsLoad) return;
    const { clock, pool } = server.deps;
    const startMs = clock.monotonicMs();
    const seconds = (): number => Math.round(clock.monotonicMs() - startMs) / 1000;
    const loading = pool.acquire(target.model, scope.abort.signal, target.options);
    // One that fails while its reader takes what comes before is looked at behind that.
    loading.catch(() => undefined);
    try {
      if (target.options.settings?.draft !== undefined) await this.#untilAccepted(loading);
      yield* this.turn.start();
      yield* this.turn.loadStart();
      this.#lease = yield* this.#watchLoad(loading);
    } catch (error) {
      if (this.turn.hasStarted) yield* this.turn.loadEnd(null, seconds());
      throw scope.failure(error);
    } finally {
      // The client left meanwhile.
      if (this.#lease === null) loading.then(releaseLease, () => undefined);
    }
    yield* this.turn.loadEnd(this.#lease.identifier, seconds());
  }

  /**
   * Some draft models are only known to be unsuited when they are loaded: nothing is told before, as
   * long as a refusal can have its own status. Other failures of a load are events, as ever.
   * @throws LmError invalid_request
   */
  async #untilAccepted(loading: Promise<Lease>): Promise<void> {
    const { clock } = this.#inputs.server.deps;
    const accepted = loading.catch((error: unknown) => {
      if (hasCode(error, "invalid_request")) throw error;
    });
    if (await settlesWithin(accepted, LATE_COMMIT_MS, clock)) await accepted;
  }

  /** Tells how far a load is, ten times a second, until it is done. */
  async *#watchLoad(loading: Promise<Lease>): AsyncGenerator<ChatEvent, Lease, void> {
    const { server, target } = this.#inputs;
    const { clock, pool } = server.deps;
    for (;;) {
      const tick = Promise.withResolvers<null>();
      const cancel = clock.after(LOAD_PROGRESS_MS, () => tick.resolve(null));
      const lease = await Promise.race([loading, tick.promise]).finally(cancel);
      if (lease !== null) return lease;
      const { path } = target.model;
      const own = pool.instances().find(({ model, info }) => model.path === path && !info);
      yield* this.turn.loadProgress(own?.loadedFraction ?? 0);
    }
  }

  /** @returns The id by which the answer may be continued; null when it is not kept. */
  #save(): string | null {
    const { server, context, request, question } = this.#inputs;
    const { responses } = server.deps;
    if (request.store === false || responses === null) return null;
    const id = randomHex("resp_", 48);
    const { text, reasoning } = this.turn;
    const answer: StoredMessage = { role: "assistant", text, reasoning };
    const body: StoredChat = {
      systemPrompt: request.system_prompt?.toWellFormed() ?? null,
      messages: [question, answer],
    };
    const previousId = request.previous_response_id ?? null;
    // The answer is given all the same: it only cannot be continued.
    return responses.save({ id, owner: context.caller.id, previousId, body }) ? id : null;
  }
}
