import { expect, test } from "bun:test";
import { Outbox } from "../../../src/engine/outbox.ts";

test("an outbox is empty when the last of its messages has left, whatever their order", async () => {
  const leave: (() => void)[] = [];
  const outbox = new Outbox((_message, onSent) => void leave.push(onSent));
  await outbox.empty;
  for (const message of ["a", "b", "c"]) outbox.send(message);
  let isEmpty = false;
  void outbox.empty.then(() => (isEmpty = true));
  leave[2]?.();
  leave[0]?.();
  await Promise.resolve();
  expect(isEmpty).toBe(false);
  leave[1]?.();
  await outbox.empty;
  expect(isEmpty).toBe(true);
  outbox.send("d");
  let isLeft = false;
  void outbox.empty.then(() => (isLeft = true));
  await Promise.resolve();
  expect(isLeft).toBe(false);
});
