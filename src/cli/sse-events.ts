import { EXIT, ExitError } from "./command.ts";

/** Longest single event; a server that never ends one must not fill the memory. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024;

/**
 * The data of each server-sent event. Names and ids are not used by the streams read here.
 * @throws ExitError failed for an event without an end, unreachable when the connection breaks.
 */
export async function* sseEvents(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunksOf(stream)) {
    text += decoder.decode(chunk, { stream: true });
    const frames = text.split(/\r?\n\r?\n/);
    text = frames.pop() ?? "";
    if (text.length > MAX_EVENT_CHARS)
      throw new ExitError(EXIT.failed, "The server sends an event without an end.");
    for (const frame of frames) {
      const data = frame.split(/\r?\n/).flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
      if (data.length > 0) yield data.join("\n");
    }
  }
}

/** A server that ends properly closes its streams; one that is killed breaks them. */
async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* stream;
  } catch (cause) {
    throw new ExitError(EXIT.unreachable, "The server ended.", { cause });
  }
}
