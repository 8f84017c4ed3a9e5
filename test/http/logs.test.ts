import { expect, test } from "bun:test";
import { LogFeed, type LogLine } from "../../src/http/log-feed.ts";
import { appWith, errorOf, get } from "./fakes.ts";

const line = (content: string) => ({ type: "server.log", level: "info", content }) as const;

test("a stream begins at once, shows what happens, and ends with the feed", async () => {
  const feed = new LogFeed(() => 7);
  const app = appWith({ deps: { logFeed: feed } });
  const response = await app.handle(get("/api/lmserver/logs?source=server"));
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  feed.publish(line("one"));
  feed.publish({ type: "llm.prediction.input", modelIdentifier: "m", modelPath: "m" });
  const body = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("one")) text += decoder.decode((await body.read()).value);
  feed.close();
  while (!(await body.read()).done) continue;
  const data = { type: "server.log", level: "info", content: "one" };
  expect(text).toBe(`: log\n\ndata: ${JSON.stringify({ timestamp: 7, data })}\n\n`);
  expect(feed.readerCount).toBe(0);
});

test("a reader that leaves is forgotten, and too many are refused", async () => {
  const feed = new LogFeed(() => 0);
  const app = appWith({ deps: { logFeed: feed } });
  const open = await Promise.all(
    Array.from({ length: 16 }, () => app.handle(get("/api/lmserver/logs"))),
  );
  expect(feed.readerCount).toBe(16);
  const refused = await app.handle(get("/api/lmserver/logs"));
  expect(refused.status).toBe(503);
  for (const response of open) await response.body?.cancel();
  expect(feed.readerCount).toBe(0);
  expect(feed.isWatched("server")).toBe(false);
});

test("streams of the log count among those that are open", async () => {
  const app = appWith({ deps: { logFeed: new LogFeed(() => 0) } });
  const open = async (): Promise<string | undefined> => {
    const text = await (await app.handle(get("/metrics"))).text();
    return /^lmserver_sse_streams (\d+)$/m.exec(text)?.[1];
  };
  const responses = [
    await app.handle(get("/api/lmserver/logs")),
    await app.handle(get("/api/lmserver/logs")),
  ];
  expect(await open()).toBe("2");
  for (const response of responses) await response.body?.cancel();
  expect(await open()).toBe("0");
});

test("a source that does not exist is refused", async () => {
  const app = appWith({ deps: { logFeed: new LogFeed(() => 0) } });
  const wrong = await app.handle(get("/api/lmserver/logs?source=all"));
  expect([wrong.status, (await errorOf(wrong)).message]).toEqual([
    400,
    "'source' must be 'server' or 'model'.",
  ]);
});

test("a reader that does not read loses lines, and is told how many", async () => {
  const feed = new LogFeed(() => 0);
  using reader = feed.open(["server"]);
  for (let index = 0; index < 1_005; index += 1) feed.publish(line(String(index)));
  const lines: readonly LogLine[] = (await reader.next()) ?? [];
  expect(lines).toHaveLength(1_001);
  expect(lines.at(-1)?.data).toEqual({
    type: "server.log",
    level: "warn",
    content: "5 lines were dropped because nobody read them",
  });
});
