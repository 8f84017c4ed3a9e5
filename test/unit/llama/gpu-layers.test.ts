import { describe, expect, test } from "bun:test";
import { layersThatFit, shardPaths } from "../../../src/llama/gpu-layers.ts";

const GIB = 1024 ** 3;
/** 33 parts of 128 MiB of weights and 64 MiB of KV cache each. */
const shape = {
  fileBytes: 33 * 128 * 1024 ** 2,
  layerCount: 32,
  kvBytesPerTokenLayer: 8192,
  contextLength: 8192,
};

describe("layers on the GPU", () => {
  type Case = { name: string; free: number[]; layers: number };
  const cases: Case[] = [
    { name: "all when there is room", free: [80 * GIB], layers: 33 },
    { name: "none when a GPU has less than the reserve", free: [GIB / 2], layers: 0 },
    {
      name: "as many as fit beside the reserve",
      free: [1 * GIB + 10 * 192 * 1024 ** 2],
      layers: 10,
    },
    { name: "two GPUs add up", free: [2 * GIB, 2 * GIB], layers: 10 },
    { name: "no GPU, no layers", free: [], layers: 0 },
  ];
  test.each(cases)("$name", ({ free, layers }) => {
    expect(layersThatFit(shape, free)).toBe(layers);
  });

  test("a split model is measured with all of its files", () => {
    expect(shardPaths("/m/big-00001-of-00003.gguf")).toEqual([
      "/m/big-00001-of-00003.gguf",
      "/m/big-00002-of-00003.gguf",
      "/m/big-00003-of-00003.gguf",
    ]);
    expect(shardPaths("/m/small.gguf")).toEqual(["/m/small.gguf"]);
  });
});
