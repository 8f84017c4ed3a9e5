import { describe, expect, test } from "bun:test";
import { checkDefaults } from "../../../src/llama/abi-check.ts";
import { pickLibraryFiles } from "../../../src/llama/library-files.ts";
import { explain } from "../../../src/llama/log-tail.ts";
import { parseRecords } from "../../../src/llama/native-log.ts";
import {
  CONTEXT_PARAMS,
  CONTEXT_PARAMS_SIZE,
  MODEL_PARAMS,
  MODEL_PARAMS_SIZE,
  writeField,
} from "../../../src/llama/structs.ts";
import { loadedBackends } from "../../../src/llama/system-info.ts";

describe("library names", () => {
  const cases = [
    ["libllama.v0.5.0.so", "libggml.v0.5.0.so", "libggml-base.so"],
    ["libllama.vulkan.v0.5.0.so", "libggml.vulkan.v0.5.0.so", "libggml-base.so"],
    ["libllama.metal.v0.5.0.dylib", "libggml.metal.v0.5.0.dylib", "libggml-base.dylib"],
    ["llama.v0.5.0.dll", "ggml.v0.5.0.dll", "ggml-base.dll"],
    ["libllama.so", "libggml.so", "libggml-base.so"],
  ];
  const others = ["libggml-cpu-zen4.so", "libllama-common.so", "llama-addon.node", "x.json"];

  test.each(cases)("%s, %s and %s are found among others", (llama, ggml, ggmlBase) => {
    const files = pickLibraryFiles("/lib", [...others, llama, ggml, ggmlBase]);
    expect(files).toEqual({
      llama: `/lib/${llama}`,
      ggml: `/lib/${ggml}`,
      ggmlBase: `/lib/${ggmlBase}`,
    });
  });

  test("a missing library is named", () => {
    expect(() => pickLibraryFiles("/lib", ["libggml.so", "libggml-base.so"])).toThrow(/No llama/);
  });

  test("two of a kind are refused, whichever would be taken", () => {
    const names = ["libllama.v0.5.0.so", "libllama.v0.6.0.so", "libggml.so", "libggml-base.so"];
    expect(() => pickLibraryFiles("/lib", names)).toThrow(/libllama.v0.5.0.so, libllama.v0.6.0.so/);
  });
});

describe("struct layouts", () => {
  const structs = [
    { name: "model", fields: MODEL_PARAMS, size: MODEL_PARAMS_SIZE },
    { name: "context", fields: CONTEXT_PARAMS, size: CONTEXT_PARAMS_SIZE },
  ];

  test.each(structs)("fields of the $name parameters do not overlap or leave it", (struct) => {
    const widths = { i32: 4, u32: 4, f32: 4, u8: 1, pointer: 8 };
    let end = 0;
    for (const field of Object.values(struct.fields)) {
      expect(field.offset).toBeGreaterThanOrEqual(end);
      expect(field.offset % widths[field.kind]).toBe(0);
      end = field.offset + widths[field.kind];
    }
    expect(end).toBeLessThanOrEqual(struct.size);
  });

  test.each(structs)("a $name default that differs is refused with both values", (struct) => {
    const bytes = new Uint8Array(struct.size);
    const view = new DataView(bytes.buffer);
    for (const field of Object.values(struct.fields)) writeField(view, field, field.initial!);
    expect(() => checkDefaults("params", struct.fields, bytes)).not.toThrow();
    for (const [name, field] of Object.entries(struct.fields)) {
      writeField(view, field, 77);
      const message = new RegExp(`params\\.${name} is 77 by default, expected ${field.initial}`);
      expect(() => checkDefaults("params", struct.fields, bytes)).toThrow(message);
      writeField(view, field, field.initial!);
    }
  });
});

describe("the native log", () => {
  const record = (level: number, text: string) => `\u0001${level}${text}`;
  const parse = (...records: string[]) => parseRecords(new TextEncoder().encode(records.join("")));

  test("records become lines with their level", () => {
    expect(parse(record(2, "a\n"), record(4, "b\nc\n"), record(3, "d\n"))).toEqual([
      { level: "info", text: "a" },
      { level: "error", text: "b" },
      { level: "error", text: "c" },
      { level: "warn", text: "d" },
    ]);
  });

  test("a record that continues one extends its line", () => {
    expect(parse(record(2, "loading "), record(5, "..."), record(5, " done\n"))).toEqual([
      { level: "info", text: "loading ... done" },
    ]);
  });

  test("a failure is explained by errors, else by warnings, else not", () => {
    const lines = parse(record(3, "w\n"), record(4, " e1\n"), record(4, "e2\n"));
    expect(explain(lines, "?")).toBe("e1\ne2");
    expect(explain(lines.slice(0, 1), "?")).toBe("w");
    expect(explain([], "?")).toBe("?");
  });

  test("loaded backends are found in it", () => {
    const text = "load_backend: loaded CPU backend from /some folder/libggml-cpu-zen4.so";
    expect(loadedBackends([{ level: "info", text }])).toEqual([
      { name: "CPU", file: "libggml-cpu-zen4.so" },
    ]);
  });
});
