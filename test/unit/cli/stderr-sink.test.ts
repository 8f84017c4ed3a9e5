import { expect, test } from "bun:test";
import { LineSink } from "../../../src/cli/stderr-sink.ts";

/** A pipe whose reader is behind until `read` is called. */
function slowPipe() {
  const written: string[] = [];
  let pending: PromiseWithResolvers<void> | null = null;
  const pipe = {
    written,
    isBehind: true,
    write: (text: string) => void written.push(text),
    flush(): unknown {
      if (!pipe.isBehind) return 0;
      pending ??= Promise.withResolvers<void>();
      return pending.promise;
    },
    async read(): Promise<void> {
      pipe.isBehind = false;
      pending?.resolve();
      pending = null;
      await Bun.sleep(0);
    },
    async leave(): Promise<void> {
      pending?.reject(new Error("EPIPE"));
      pending = null;
      await Bun.sleep(0);
    },
  };
  return pipe;
}

const LINE = `${"x".repeat(1_023)}\n`;

test("lines go out as they are", () => {
  const pipe = slowPipe();
  pipe.isBehind = false;
  const sink = new LineSink(pipe);
  sink.write("a\n");
  sink.write("b\n");
  expect(pipe.written).toEqual(["a\n", "b\n"]);
});

test("a full pipe costs lines, not memory, and the loss is told once there is room", async () => {
  const pipe = slowPipe();
  const sink = new LineSink(pipe);
  for (let index = 0; index < 10_000; index += 1) sink.write(LINE);
  expect(pipe.written.length).toBeLessThanOrEqual(257);
  const lost = 10_000 - pipe.written.length;
  expect(sink.dropped).toBe(lost);
  await pipe.read();
  expect(pipe.written.at(-1)).toBe(`${lost} log lines were dropped because nobody read them\n`);
  sink.write("after\n");
  expect(pipe.written.at(-1)).toBe("after\n");
});

test("lines written while the reader was behind are flushed when it has caught up", async () => {
  const pipe = slowPipe();
  const sink = new LineSink(pipe);
  sink.write("one\n");
  sink.write("two\n");
  await pipe.read();
  await sink.drain(1_000);
  expect(pipe.written.slice(0, 2)).toEqual(["one\n", "two\n"]);
  expect(sink.dropped).toBe(0);
});

test("a reader that has gone is forgotten", async () => {
  const pipe = slowPipe();
  const sink = new LineSink(pipe);
  sink.write("one\n");
  await pipe.leave();
  sink.write("two\n");
  expect(pipe.written).toEqual(["one\n"]);
});

test("draining ends although nobody reads", async () => {
  const pipe = slowPipe();
  const sink = new LineSink(pipe);
  sink.write("one\n");
  await sink.drain(1);
  expect(pipe.written).toEqual(["one\n"]);
});
