import { expect, test } from "bun:test";
import { WorkerSupply } from "../../../src/chat/worker-supply.ts";

class FakeWorker extends EventTarget {
  isEnded = false;
  terminate(): void {
    this.isEnded = true;
  }
}

/** A supply on a machine whose descriptors last as the test says. */
function newSupply() {
  const started: FakeWorker[] = [];
  const machine = { hasRoom: true };
  const start = (): Worker => {
    const worker = new FakeWorker();
    started.push(worker);
    return worker as unknown as Worker;
  };
  return { started, machine, supply: new WorkerSupply(start, () => machine.hasRoom) };
}

test("one thread is kept ready, and handed out when no descriptor is left", () => {
  const { started, machine, supply } = newSupply();
  supply.prepare();
  supply.prepare();
  expect(started).toHaveLength(1);
  machine.hasRoom = false;
  const taken: unknown = supply.take();
  expect(taken).toBe(started[0]);
});

test("without a descriptor no thread is started, and the caller may come again", () => {
  const { started, machine, supply } = newSupply();
  machine.hasRoom = false;
  supply.prepare();
  expect(() => supply.take()).toThrow(expect.objectContaining({ code: "overloaded" }));
  expect(started).toEqual([]);
  machine.hasRoom = true;
  supply.take();
  expect(started).toHaveLength(1);
});

test("the one that nobody took ends with the supply", () => {
  const { started, supply } = newSupply();
  supply.prepare();
  supply.close();
  expect(started.map(({ isEnded }) => isEnded)).toEqual([true]);
});
