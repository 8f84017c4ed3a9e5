import { expect, test } from "bun:test";
import { demandOf } from "../../../src/pool/demand.ts";
import type { GpuLayers } from "../../../src/protocol/commands.ts";
import { scriptedModel } from "../../support/pool-fixture.ts";

const GIB = 2 ** 30;
const model = scriptedModel({ name: "m" });
/** 33 layers of 1 GiB with the output layer, 1 GiB of buffers, 1 GiB of process. */
const estimate = {
  weightBytes: 30 * GIB,
  kvBytes: 3 * GIB,
  computeBytes: GIB,
  totalBytes: 35 * GIB,
};

interface Case {
  name: string;
  gpuLayers: GpuLayers;
  free: number;
  gpu: number;
  ram: number;
}

const cases: Case[] = [
  { name: "off: all in main memory", gpuLayers: "off", free: 80, gpu: 0, ram: 35 },
  { name: "no GPU: all in main memory", gpuLayers: "max", free: 0, gpu: 0, ram: 35 },
  { name: "all layers: only the process stays", gpuLayers: "max", free: 80, gpu: 34, ram: 1 },
  { name: "all layers on a GPU that is too small", gpuLayers: "max", free: 8, gpu: 34, ram: 1 },
  { name: "as many as fit beside the reserve", gpuLayers: "auto", free: 12, gpu: 12, ram: 24 },
  { name: "as many as fit: everything", gpuLayers: "auto", free: 80, gpu: 34, ram: 1 },
  { name: "as many as fit: none", gpuLayers: "auto", free: 1.5, gpu: 0, ram: 35 },
  { name: "a number of layers", gpuLayers: 11, free: 80, gpu: 12, ram: 24 },
  { name: "more layers than there are", gpuLayers: 99, free: 80, gpu: 34, ram: 1 },
];

test.each(cases)("what goes where: $name", ({ gpuLayers, free, gpu, ram }) => {
  const demand = demandOf(model, estimate, gpuLayers, free * GIB);
  expect([demand.gpuBytes / GIB, demand.ramBytes / GIB]).toEqual([gpu, ram]);
});
