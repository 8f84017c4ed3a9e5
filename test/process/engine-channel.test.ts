import { expect, test } from "bun:test";
import { engineSpawner, type EngineExit } from "../../src/pool/engine-channel.ts";

function run(script: string) {
  const ended = Promise.withResolvers<EngineExit>();
  const spawn = engineSpawner(["/bin/sh", "-c", script], { PATH: process.env["PATH"] });
  const channel = spawn({
    message: () => {},
    disconnected: () => {},
    ended: (exit) => ended.resolve(exit),
  });
  return { channel, ended: ended.promise };
}

test("the end is told after everything that was written to stderr has been read", async () => {
  for (let n = 0; n < 10; n += 1) {
    const { channel, ended } = run(
      "head -c 300000 /dev/zero | tr '\\0' x >&2; echo END >&2; exit 3",
    );
    expect(await ended).toEqual({ code: 3, signal: null });
    expect(channel.stderr()).toEndWith("xEND\n");
    expect(channel.stderr().length).toBe(64 * 1024);
  }
});

test("what another process of the engine still writes is waited for a moment", async () => {
  const { channel, ended } = run("(sleep 0.05; echo LATE >&2) & exit 3");
  await ended;
  expect(channel.stderr()).toBe("LATE\n");
});

test("a grandchild that holds stderr open does not delay the end", async () => {
  const { channel, ended } = run("sleep 30 & echo $! >&2; exit 4");
  expect(await ended).toEqual({ code: 4, signal: null });
  process.kill(Number(channel.stderr()), "SIGKILL");
});

test("a command to a process that is gone is dropped", async () => {
  const { channel, ended } = run("exit 0");
  await ended;
  channel.send({ type: "cancel", jobId: 1 });
  channel.kill("SIGKILL");
});

test("a signal is told by its name", async () => {
  const { channel, ended } = run("sleep 30");
  channel.kill("SIGKILL");
  expect((await ended).signal).toBe("SIGKILL");
});
