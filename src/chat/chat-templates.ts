import type { CatalogModel } from "../catalog/model.ts";
import type { LoadedModelInfo } from "../protocol/events.ts";
import type { Clock } from "../lib/clock.ts";
import type { ChatOptions, Message } from "./conversation.ts";
import { RenderDeadline, RenderShares } from "./render-deadline.ts";
import type { RenderedText } from "./render-protocol.ts";
import { TemplateThread } from "./template-thread.ts";
import { WorkerSupply } from "./worker-supply.ts";

/** What a template needs to know of the loaded model that reads its prompts. */
export interface PromptReader {
  model: Pick<CatalogModel, "chatTemplate">;
  info: Pick<LoadedModelInfo, "bosText" | "eosText" | "addsBos">;
}

/** Turns conversations into prompts by the template of the model that will read them. */
export interface ChatTemplates {
  /**
   * The prompt without the BOS text that the vocabulary adds by itself.
   * @throws LmError invalid_request (chat_template_error) when the template refuses, computes longer
   * than a second or writes more than 32 MiB; overloaded when it does not get to compute;
   * `signal.reason` when aborted.
   */
  render(
    reader: PromptReader,
    messages: readonly Message[],
    options: ChatOptions,
    signal: AbortSignal,
  ): Promise<RenderedText>;
  /** The text that `render` gives, without the texts of BOS and EOS: for finding out what a template does. */
  renderProbe(source: string, messages: readonly Message[], options: ChatOptions): Promise<string>;
  /** Starts a thread before one is needed: later there may be no descriptor for it. */
  prepare(): void;
  close(): void;
}

/** What most models without a template of their own were trained on, or at least can follow. */
export const CHATML_TEMPLATE = `{% for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}`;

/** The template that renders a model's conversations. */
export const templateOf = (model: Pick<CatalogModel, "chatTemplate">): string =>
  model.chatTemplate ?? CHATML_TEMPLATE;

/** Threads kept, each for one template: a template that hangs keeps nobody else waiting. */
const MAX_THREADS = 4;

export function createChatTemplates(clock: Clock): ChatTemplates {
  const threads = new ThreadsByTemplate(clock);
  return {
    async render({ model, info }, messages, options, signal) {
      signal.throwIfAborted();
      const source = templateOf(model);
      const { bosText, eosText } = info;
      const chat = { messages, options, bosText, eosText };
      const request = { source, nowMs: clock.now(), chat };
      const rendered = await threads.of(source).render(request, signal);
      signal.throwIfAborted();
      const addsTwice = info.addsBos && bosText !== "" && rendered.text.startsWith(bosText);
      return addsTwice ? { ...rendered, text: rendered.text.slice(bosText.length) } : rendered;
    },
    async renderProbe(source, messages, options) {
      const chat = { messages, options, bosText: "", eosText: "" };
      const request = { source, nowMs: clock.now(), chat };
      const { text } = await threads.of(source).render(request, null);
      return text;
    },
    prepare: () => threads.supply.prepare(),
    close: () => threads.close(),
  };
}

class ThreadsByTemplate {
  /** Least recently used first. */
  readonly #threads = new Map<string, TemplateThread>();
  readonly supply = new WorkerSupply();
  readonly #shares = new RenderShares();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(source: string): TemplateThread {
    const thread = this.#threads.get(source) ?? this.#newThread();
    this.#threads.delete(source);
    this.#threads.set(source, thread);
    for (const [other, idle] of this.#threads) {
      if (this.#threads.size <= MAX_THREADS) break;
      if (idle === thread || !idle.isIdle) continue;
      idle.close();
      this.#threads.delete(other);
    }
    return thread;
  }

  #newThread(): TemplateThread {
    const { supply } = this;
    return new TemplateThread({ supply, deadline: new RenderDeadline(this.#clock, this.#shares) });
  }

  close(): void {
    for (const thread of this.#threads.values()) thread.close();
    this.#threads.clear();
    this.supply.close();
  }
}
