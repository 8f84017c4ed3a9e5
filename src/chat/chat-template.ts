import type { ChatOptions, Message } from "./conversation.ts";
import { compileTemplate, type RenderTemplate, type TemplateVariables } from "./jinja/template.ts";
import { type BrokenArguments, normaliseMessages } from "./normalise-messages.ts";
import { movesSystemMessages } from "./system-messages.ts";
import { probeCapabilities, type TemplateCapabilities } from "./template-capabilities.ts";
import { thinkingVariables } from "./thinking-switches.ts";
import { toolVariables } from "./tool-variables.ts";

/** A conversation to be rendered, and the texts of the vocabulary's marks. */
export interface ChatInput {
  messages: readonly Message[];
  options: ChatOptions;
  bosText: string;
  eosText: string;
}

/** A day in the middle of a year: probing must not depend on the clock. */
const PROBE_TIME = new Date(2024, 5, 15, 12);
/** Marks where a continued message ends; no text of a person or a template holds it. */
const CONTINUE_MARK = "\u{F8FF}the answer goes on here\u{F8FF}";

const MOVED =
  "messages: the model's template shows a system message only at the start; later ones joined the first";

/** One model's template, compiled once. */
export class ChatTemplate {
  readonly #source: string;
  readonly #render: RenderTemplate;
  #capabilities: TemplateCapabilities | null = null;

  /** @throws Error when the source is no template. */
  constructor(source: string) {
    this.#source = source;
    this.#render = compileTemplate(source);
  }

  get capabilities(): TemplateCapabilities {
    this.#capabilities ??= probeCapabilities(this.#source, PROBE_TIME, (variables) =>
      this.#render(variables, PROBE_TIME),
    );
    return this.#capabilities;
  }

  /** The prompt of a conversation. @throws Error when the template refuses. */
  renderChat(input: ChatInput, now: Date): string {
    const { options } = input;
    if (!options.continueFinalMessage) {
      return this.#renderMessages(input, input.messages, options.addGenerationPrompt, now);
    }
    const last = input.messages.at(-1);
    const begun = (last?.content ?? []).map((part) => part.text).join("");
    const open = input.messages.slice(0, -1);
    if (last !== undefined) {
      const marked: Message = { ...last, content: [{ type: "text", text: begun + CONTINUE_MARK }] };
      const text = this.#renderMessages(input, [...open, marked], false, now);
      const end = text.lastIndexOf(CONTINUE_MARK);
      if (end !== -1) return text.slice(0, end);
    }
    // The template changed the text beyond recognition: the answer is begun behind its own opening.
    return this.#renderMessages(input, open, true, now) + begun;
  }

  /** What of a conversation the prompt shows elsewhere than it stands. */
  warningsOf({ messages }: Pick<ChatInput, "messages">): readonly string[] {
    return movesSystemMessages(this.capabilities, messages) ? [MOVED] : [];
  }

  #renderMessages(
    input: ChatInput,
    messages: readonly Message[],
    addGenerationPrompt: boolean,
    now: Date,
  ): string {
    const { options } = input;
    const variables: TemplateVariables = {
      add_generation_prompt: addGenerationPrompt,
      bos_token: input.bosText,
      eos_token: input.eosText,
      ...thinkingVariables(this.#source, options),
      ...toolVariables(this.#source, options.toolChoice.kind === "none" ? [] : options.tools, now),
      ...options.templateKwargs,
    };
    const render = (broken: BrokenArguments): string => {
      const { capabilities } = this;
      const shaped = normaliseMessages(this.#source, capabilities, messages, options, broken);
      return this.#render({ messages: shaped, ...variables }, now);
    };
    try {
      return render("text");
    } catch (error) {
      const hasCalls = messages.some((message) => message.toolCalls.length > 0);
      if (!hasCalls || this.capabilities.toolArguments === "text") throw error;
      return this.#renderWrapped(render, error);
    }
  }

  /** A second try, whose failure is not the one to tell of. */
  #renderWrapped(render: (broken: BrokenArguments) => string, first: unknown): string {
    try {
      return render("wrapped");
    } catch {
      throw first;
    }
  }
}
