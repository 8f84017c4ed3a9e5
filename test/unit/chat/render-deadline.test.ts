import { describe, expect, spyOn, test } from "bun:test";
import { DEFAULT_CHAT_OPTIONS } from "../../../src/chat/conversation.ts";
import { RenderDeadline, type RenderEnd, RenderShares } from "../../../src/chat/render-deadline.ts";
import type { RenderRequest } from "../../../src/chat/render-protocol.ts";
import { TemplateThread } from "../../../src/chat/template-thread.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** A machine whose other threads compute when the test says so. */
class Machine {
  readonly clock = new ManualClock();
  computedMs = 0;
  readonly shares = new RenderShares(() => this.computedMs);
  readonly deadline = new RenderDeadline(this.clock, this.shares);

  pass(ms: number, share: number): void {
    for (let step = 0; step < ms; step += 10) {
      this.computedMs += 10 * share;
      this.clock.advance(10);
    }
  }
}

function started() {
  const machine = new Machine();
  const ends: RenderEnd[] = [];
  machine.deadline.start(1_000, (end) => ends.push(end));
  return { machine, ends };
}

test("a render that computes all the time is ended when its time is spent", () => {
  const { machine, ends } = started();
  machine.pass(1_000, 1);
  expect(ends).toEqual([]);
  machine.pass(100, 1);
  expect(ends).toEqual(["spent"]);
});

test("on a busy machine a render has the same time to compute, however long that takes", () => {
  const { machine, ends } = started();
  machine.pass(9_900, 0.1);
  expect(ends).toEqual([]);
  machine.pass(400, 0.1);
  expect(ends).toEqual(["spent"]);
});

test("one that never gets to compute is given up in the end, as a failure of the machine", () => {
  const { machine, ends } = started();
  machine.pass(50_000, 0);
  expect(ends).toEqual([]);
  machine.pass(20_000, 0);
  expect(ends).toEqual(["starved"]);
  expect(machine.clock.pending).toBe(0);
});

describe("renders at the same time", () => {
  function startedTwo() {
    const { machine, ends } = started();
    const other: RenderEnd[] = [];
    const deadline = new RenderDeadline(machine.clock, machine.shares);
    deadline.start(1_000, (end) => {
      deadline.stop();
      other.push(end);
    });
    return { machine, ends, deadline, other };
  }

  test("have the same time to compute as each of them alone", () => {
    const { machine, ends, other } = startedTwo();
    machine.pass(1_900, 1);
    expect([ends, other]).toEqual([[], []]);
  });

  test("end all when they go on", () => {
    const { machine, ends, other } = startedTwo();
    machine.pass(2_200, 1);
    expect([ends, other]).toEqual([["spent"], ["spent"]]);
  });

  test("leave one that goes on alone the time it has had", () => {
    const { machine, ends, deadline } = startedTwo();
    machine.pass(500, 1);
    deadline.stop();
    deadline.stop();
    machine.pass(700, 1);
    expect(ends).toEqual([]);
    machine.pass(200, 1);
    expect(ends).toEqual(["spent"]);
  });
});

/** A thread whose answers come when the test says so. */
class SlowWorker extends EventTarget {
  isEnded = false;
  /** Sources of the renders that it was given. */
  readonly given: string[] = [];
  postMessage(request: string): void {
    this.given.push((JSON.parse(request) as RenderRequest).source);
  }
  terminate(): void {
    this.isEnded = true;
  }
  reply(text: string): void {
    this.dispatchEvent(
      new MessageEvent("message", { data: JSON.stringify({ text, warnings: [] }) }),
    );
  }
}

function rendering() {
  const machine = new Machine();
  const worker = new SlowWorker();
  const { deadline } = machine;
  const supply = { take: () => worker as unknown as Worker, prepare: () => undefined };
  const thread = new TemplateThread({ deadline, supply });
  const chat = { messages: [], options: DEFAULT_CHAT_OPTIONS, bosText: "", eosText: "" };
  const render = (source: string, signal: AbortSignal | null = null) =>
    thread.render({ source, nowMs: 0, chat }, signal);
  return { machine, worker, render, rendered: render("first") };
}

test("a reply that waits behind the timer is read, although the time is over", async () => {
  const { machine, worker, rendered } = rendering();
  machine.computedMs = 5_000;
  machine.clock.advance(1_000);
  worker.reply("fine");
  machine.clock.advance(60_000);
  expect((await rendered).text).toBe("fine");
  expect([worker.isEnded, machine.clock.pending]).toEqual([false, 0]);
});

test("a thread that was paused with its machine goes on", async () => {
  const { machine, worker, rendered } = rendering();
  machine.pass(2_000, 0);
  worker.reply("fine");
  expect((await rendered).text).toBe("fine");
});

test("a render that had no turn to compute may be asked for again", async () => {
  const { machine, worker, rendered } = rendering();
  machine.pass(70_000, 0);
  expect(await rendered.catch((error: unknown) => error)).toMatchObject({ code: "overloaded" });
  expect(worker.isEnded).toBe(true);
});

const reasonOf = (rendered: Promise<unknown>): Promise<unknown> =>
  rendered.then(
    () => null,
    (reason: unknown) => reason,
  );

test("a render whose client is gone does not wait for its turn, and nobody waits for it", async () => {
  const { worker, rendered, render } = rendering();
  const client = new AbortController();
  const added = spyOn(client.signal, "addEventListener");
  const removed = spyOn(client.signal, "removeEventListener");
  const left = [render("left", client.signal), render("left too", client.signal)].map(reasonOf);
  const last = render("last");
  client.abort("gone");
  expect(await Promise.all(left)).toEqual(["gone", "gone"]);
  expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
  worker.reply("fine");
  worker.reply("fine, too");
  expect([(await rendered).text, (await last).text]).toEqual(["fine", "fine, too"]);
  expect(worker.given).toEqual(["first", "last"]);
  expect(await reasonOf(render("late", client.signal))).toBe("gone");
  expect(worker.given).toHaveLength(2);
});

test("a client that goes while its render runs is told at once, and the thread is kept", async () => {
  const { worker, rendered, render, machine } = rendering();
  worker.reply("fine");
  await rendered;
  const client = new AbortController();
  const left = reasonOf(render("left", client.signal));
  const last = render("last");
  client.abort("gone");
  expect(await left).toBe("gone");
  expect(worker.given).toEqual(["first", "left"]);
  worker.reply("for nobody");
  worker.reply("fine, too");
  expect((await last).text).toBe("fine, too");
  expect([worker.isEnded, machine.clock.pending]).toEqual([false, 0]);
});
