import { expect, test } from "bun:test";
import { createLog, type LogOptions } from "../../../src/cli/log-writer.ts";

function logInto(lines: string[], options: Partial<LogOptions> = {}) {
  return createLog({
    format: "text",
    level: () => "debug",
    now: () => 0,
    write: (line) => void lines.push(line),
    ...options,
  });
}

test("a text line has time, level, message and fields", () => {
  const lines: string[] = [];
  const fields = {
    status: 200,
    path: "/v1/models",
    note: "two words",
    gone: null,
    absent: undefined,
  };
  logInto(lines).info("request", fields);
  expect(lines).toEqual([
    '1970-01-01T00:00:00.000Z info  request status=200 path=/v1/models note="two words"\n',
  ]);
});

test("a JSON line is one object whose fixed keys no field can replace", () => {
  const lines: string[] = [];
  logInto(lines, { format: "json" }).warn("careful", { level: "fake", model: "m", time: 1 });
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    message: "careful",
    model: "m",
  });
});

test("T-B9: nothing a client sends can move the cursor, turn the text or begin a line", () => {
  const hostile =
    "a\r\nSet-Cookie: x\u001b]52;c;aGk=\u0007\u202Egnp\u2028\u0085\u009b2J\uFEFF\u{E0041}";
  for (const format of ["text", "json"] as const) {
    const lines: string[] = [];
    const log = logInto(lines, { format });
    log.info(hostile, { name: hostile, [hostile]: "key" });
    expect(lines).toHaveLength(1);
    expect((lines[0] ?? "").slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(lines[0]).toEndWith("\n");
  }
});

test("a JSON line says again what was logged", () => {
  const lines: string[] = [];
  const name = 'q\u202E\u{E0041}\n"\\';
  logInto(lines, { format: "json" }).info("x", { name });
  expect((JSON.parse(lines[0] ?? "") as { name: string }).name).toBe(name);
});

test.each(["text", "json"] as const)("a %s line has at most 8 KiB", (format) => {
  const lines: string[] = [];
  const log = logInto(lines, { format });
  const fields = Object.fromEntries(
    Array.from({ length: 50 }, (_, index) => [`field${index}`, "\u{1F600}\u0001".repeat(5_000)]),
  );
  log.info("é".repeat(100_000), fields);
  log.info("plain", { one: "x".repeat(100_000) });
  for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(8 * 1_024);
  if (format === "json") for (const line of lines) JSON.parse(line);
});

test("the level is asked at each line", () => {
  const lines: string[] = [];
  let level: "warn" | "none" | "debug" = "warn";
  const log = logInto(lines, { level: () => level });
  log.info("hidden");
  log.error("shown");
  level = "none";
  log.error("hidden");
  level = "debug";
  log.debug("shown");
  expect(lines).toHaveLength(2);
});
