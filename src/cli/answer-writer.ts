import type { ChatFigures, ChatPiece } from "./chat-answer.ts";
import type { Terminal } from "./command.ts";

/** Shows an answer while it comes, and keeps it. */
export class AnswerWriter {
  readonly #terminal: Pick<Terminal, "write" | "isTty"> | null;
  /** The answer so far. */
  text = "";
  /** What the model thought so far. */
  reasoning = "";

  /** @param terminal null = only keep. Thoughts are shown to people only, not to pipes. */
  constructor(terminal: Pick<Terminal, "write" | "isTty"> | null) {
    this.#terminal = terminal;
  }

  /** Takes all of an answer; ends its line also when it fails. */
  async copy(pieces: AsyncGenerator<ChatPiece, ChatFigures, void>): Promise<ChatFigures> {
    try {
      for (;;) {
        const item = await pieces.next();
        if (item.done) return item.value;
        this.#take(item.value);
      }
    } finally {
      const isOpen = this.text !== "" ? !this.text.endsWith("\n") : this.#isThinkingShown();
      if (isOpen) this.#terminal?.write("\n");
    }
  }

  #take({ kind, text }: ChatPiece): void {
    if (kind === "reasoning") {
      if (this.#terminal?.isTty.stdout) {
        this.#terminal.write(this.reasoning === "" ? `[thinking]\n${text}` : text);
      }
      this.reasoning += text;
      return;
    }
    const isFirst = this.text === "" && this.#isThinkingShown();
    this.text += text;
    this.#terminal?.write(isFirst ? `\n[answer]\n${text}` : text);
  }

  #isThinkingShown(): boolean {
    return this.reasoning !== "" && this.#terminal?.isTty.stdout === true;
  }
}
