import { Type, type Static } from "typebox";

const Level = Type.Union([
  Type.Literal("debug"),
  Type.Literal("info"),
  Type.Literal("warn"),
  Type.Literal("error"),
]);

/** One event, with the keys of LM Studio's `lms log stream --json`. */
export const LogEvent = Type.Union([
  Type.Object({ type: Type.Literal("server.log"), level: Level, content: Type.String() }),
  Type.Object({
    type: Type.Literal("llm.prediction.input"),
    modelIdentifier: Type.String(),
    modelPath: Type.String({ description: "The model as the client named it." }),
    input: Type.Optional(
      Type.String({ description: "The prompt as the model reads it. Only with --log-content." }),
    ),
  }),
  Type.Object({
    type: Type.Literal("llm.prediction.output"),
    modelIdentifier: Type.String(),
    modelPath: Type.String(),
    output: Type.Optional(
      Type.String({
        description: "One choice: reasoning, text and calls. Only with --log-content.",
      }),
    ),
    stats: Type.Object({
      stopReason: Type.String(),
      tokensPerSecond: Type.Number(),
      timeToFirstTokenSec: Type.Number(),
      promptTokensCount: Type.Integer(),
      predictedTokensCount: Type.Integer(),
      totalTokensCount: Type.Integer(),
    }),
  }),
]);
export type LogEvent = Static<typeof LogEvent>;

/** An event and when it happened, in ms since the epoch. */
export const LogLine = Type.Object({ timestamp: Type.Number(), data: LogEvent });
export type LogLine = Static<typeof LogLine>;

export type LogSource = "server" | "model";

/** Lines that wait for a reader; more are dropped and counted. */
const MAX_WAITING = 1_000;

/** What happens, for those who watch it now. Nothing is kept for later readers. */
export class LogFeed {
  readonly #now: () => number;
  readonly #readers = new Set<LogReader>();

  /** @param now Milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get readerCount(): number {
    return this.#readers.size;
  }

  /** Whether somebody reads this source: events need not be made for nobody. */
  isWatched(source: LogSource): boolean {
    return [...this.#readers].some((reader) => reader.sources.includes(source));
  }

  /** Never waits. */
  publish(data: LogEvent): void {
    const source: LogSource = data.type === "server.log" ? "server" : "model";
    for (const reader of this.#readers) {
      if (reader.sources.includes(source)) reader.take({ timestamp: this.#now(), data });
    }
  }

  /** Lines from now on. The caller closes the reader. */
  open(sources: readonly LogSource[]): LogReader {
    const reader = new LogReader(sources, this.#now, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  /** Ends every stream. */
  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}

/** The lines that one reader has not taken yet. */
export class LogReader implements Disposable {
  readonly sources: readonly LogSource[];
  readonly #now: () => number;
  readonly #onClose: () => void;
  #waiting: LogLine[] = [];
  #dropped = 0;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(sources: readonly LogSource[], now: () => number, onClose: () => void) {
    this.sources = sources;
    this.#now = now;
    this.#onClose = onClose;
  }

  /** Called by the feed. */
  take(line: LogLine): void {
    if (this.#waiting.length >= MAX_WAITING) this.#dropped += 1;
    else this.#waiting.push(line);
    this.#wake();
  }

  /** What has come since the last call, waiting for something; null once it is closed. */
  async next(): Promise<readonly LogLine[] | null> {
    while (this.#waiting.length === 0 && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    if (this.#isClosed) return null;
    const lines = this.#waiting;
    const lost = this.#dropped;
    this.#waiting = [];
    this.#dropped = 0;
    if (lost === 0) return lines;
    const content = `${lost} lines were dropped because nobody read them`;
    const notice = { type: "server.log", level: "warn", content } as const;
    return [...lines, { timestamp: this.#now(), data: notice }];
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
    this.#onClose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
