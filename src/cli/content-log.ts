import type { Generate } from "../chat/events.ts";
import type { Log } from "../lib/log.ts";

/** Characters of an answer that are kept for its line. */
const MAX_ANSWER = 2_048;

/**
 * Logs what is asked and answered, for people who switched `--log-content` on. Long texts are cut
 * as every log line is.
 */
export function withContentLog(generate: Generate, log: Log): Generate {
  return async function* (request, signal) {
    const { model, input } = request;
    log.info("prompt", {
      model,
      content: JSON.stringify(input.kind === "chat" ? input.messages : input.prompt),
    });
    const answers = new Map<number, string>();
    try {
      for await (const event of generate(request, signal)) {
        if (event.type === "text" || event.type === "reasoning" || event.type === "toolArguments") {
          const text = (answers.get(event.choice) ?? "") + event.text;
          answers.set(event.choice, text.slice(0, MAX_ANSWER));
        }
        yield event;
      }
    } finally {
      for (const [choice, content] of answers) log.info("answer", { model, choice, content });
    }
  };
}
