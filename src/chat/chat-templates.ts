import { Template } from "@huggingface/jinja";
import { invalidRequest } from "../lib/errors.ts";
import type { Lease } from "../pool/pool.ts";
import type { ChatOptions, Message } from "./conversation.ts";

/** Turns conversations into prompts by the template of the model that will read them. */
export interface ChatTemplates {
  /**
   * The prompt without the BOS text that the vocabulary adds by itself.
   * @throws LmError invalid_request (chat_template_error) when the template refuses.
   */
  render(
    lease: Pick<Lease, "model" | "info">,
    messages: readonly Message[],
    options: ChatOptions,
    signal: AbortSignal,
  ): Promise<string>;
}

/** What most models without a template of their own were trained on, or at least can follow. */
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export function createChatTemplates(): ChatTemplates {
  return {
    async render({ model, info }, messages, options, signal) {
      signal.throwIfAborted();
      try {
        const prompt = new Template(model.chatTemplate ?? CHATML).render({
          ...options.templateKwargs,
          messages: messages.map(({ role, content }) => ({
            role: role === "developer" ? "system" : role,
            content: (content ?? []).map((part) => part.text).join(""),
          })),
          add_generation_prompt: options.addGenerationPrompt,
          bos_token: info.bosText,
          eos_token: info.eosText,
        });
        const addsTwice = info.addsBos && info.bosText !== "" && prompt.startsWith(info.bosText);
        return addsTwice ? prompt.slice(info.bosText.length) : prompt;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw invalidRequest("messages", "chat_template_error", `Chat template: ${reason}`);
      }
    },
  };
}
