import { beforeEach, expect, test } from "bun:test";
import { CommandWindow, type JobCommand } from "../../../src/pool/command-window.ts";

let sent: number[] = [];
let window: CommandWindow;
beforeEach(() => {
  sent = [];
  window = new CommandWindow(10_000, (command) => sent.push(command.jobId));
});

function sized(jobId: number, bytes: number): JobCommand {
  const text = "x".repeat(bytes - 1_024);
  const prompt = { kind: "text", text, addSpecial: true, parseSpecial: true } as const;
  return { type: "tokenize", jobId, prompt };
}

test("commands go at once while the engine keeps up", () => {
  for (let id = 1; id <= 20; id += 1) {
    window.push(sized(id, 4_000));
    window.read(id);
  }
  expect(sent).toHaveLength(20);
  expect(window.unreadBytes).toBe(0);
});

test("commands beyond the window wait in order until the engine has read", () => {
  for (let id = 1; id <= 5; id += 1) window.push(sized(id, 4_000));
  expect(sent).toEqual([1, 2]);
  expect(window.unreadBytes).toBe(8_000);
  window.read(1);
  expect(sent).toEqual([1, 2, 3]);
  window.read(3);
  expect(sent).toEqual([1, 2, 3, 4, 5]);
});

test("a small command does not overtake a large one", () => {
  window.push(sized(1, 8_000));
  window.push(sized(2, 8_000));
  window.push(sized(3, 1_100));
  expect(sent).toEqual([1]);
  window.read(1);
  expect(sent).toEqual([1, 2, 3]);
});

test("a command larger than the window goes alone", () => {
  window.push(sized(1, 50_000));
  window.push(sized(2, 2_000));
  expect(sent).toEqual([1]);
  window.read(1);
  expect(sent).toEqual([1, 2]);
});

test("a waiting command can be taken back, a sent one cannot", () => {
  window.push(sized(1, 8_000));
  window.push(sized(2, 8_000));
  window.push(sized(3, 1_100));
  expect([window.withdraw(1), window.withdraw(2), window.withdraw(2)]).toEqual([
    false,
    true,
    false,
  ]);
  expect(sent).toEqual([1, 3]);
});
