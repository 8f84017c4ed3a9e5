import { expect, test } from "bun:test";
import {
  planAdmission,
  type AdmissionRequest,
  type Resident,
} from "../../../src/pool/admission.ts";
import { sumOf, totalOf, type Availability } from "../../../src/pool/demand.ts";

const ram = (ramBytes: number) => ({ ramBytes, gpuBytes: 0 });

const beside =
  (free: Availability) =>
  (left: readonly Resident[]): Availability => {
    const freed = sumOf(left.map(({ demand }) => demand));
    return {
      ramBytes: free.ramBytes + freed.ramBytes,
      gpuBytes: free.gpuBytes + freed.gpuBytes,
      totalBytes: free.totalBytes + totalOf(freed),
    };
  };

interface Named extends Resident {
  name: string;
}

const resident = (name: string, facts: Partial<Resident> = {}): Named => ({
  name,
  demand: ram(100),
  jit: true,
  kind: "llm",
  isIdle: true,
  isEnding: false,
  lastUsedMs: 0,
  ...facts,
});

interface Case extends Partial<AdmissionRequest<Named>> {
  name: string;
  neededBytes?: number;
  availableBytes?: number;
  victims?: string[];
  refused?: number;
}

const cases: Case[] = [
  { name: "room enough", availableBytes: 100, residents: [resident("a")], victims: [] },
  {
    name: "the least recently used leaves first",
    residents: [resident("new", { lastUsedMs: 9 }), resident("old", { lastUsedMs: 1 })],
    victims: ["old"],
  },
  {
    name: "an idle one leaves before a busy older one",
    residents: [resident("busy", { isIdle: false }), resident("idle", { lastUsedMs: 9 })],
    victims: ["idle"],
  },
  {
    name: "busy ones are waited for when idle ones are not enough",
    neededBytes: 200,
    residents: [resident("busy", { isIdle: false }), resident("idle", { lastUsedMs: 9 })],
    victims: ["idle", "busy"],
  },
  {
    name: "one that leaves anyway is waited for before a busy one is ended",
    residents: [
      resident("busy", { isIdle: false }),
      resident("leaving", { isIdle: false, isEnding: true, jit: false, lastUsedMs: 9 }),
    ],
    victims: ["leaving"],
  },
  {
    name: "an idle one leaves before one that leaves anyway is waited for",
    residents: [
      resident("leaving", { isIdle: false, isEnding: true }),
      resident("idle", { lastUsedMs: 9 }),
    ],
    victims: ["idle"],
  },
  {
    name: "pinned ones never leave",
    residents: [resident("pinned", { jit: false })],
    refused: 0,
  },
  {
    name: "what cannot fit evicts nobody",
    neededBytes: 1_000,
    availableBytes: 50,
    residents: [resident("a"), resident("b")],
    refused: 250,
  },
  {
    name: "only the last one of a kind stays",
    keepLastJit: true,
    availableBytes: 1_000,
    residents: [
      resident("llm"),
      resident("embedding", { kind: "embedding" }),
      resident("pinned", { jit: false }),
    ],
    victims: ["llm"],
  },
  {
    name: "an explicit load replaces nobody by itself",
    keepLastJit: true,
    jit: false,
    availableBytes: 1_000,
    residents: [resident("llm")],
    victims: [],
  },
];

test.each(cases)("admission: $name", (given) => {
  const { victims, refused, name: _name, neededBytes = 100, availableBytes = 0, ...rest } = given;
  const plan = planAdmission({
    needed: () => ram(neededBytes),
    jit: true,
    kind: "llm",
    available: beside({ ...ram(availableBytes), totalBytes: Infinity }),
    residents: [],
    keepLastJit: false,
    ...rest,
  });
  if (plan.kind === "admit") expect(plan.victims.map(({ name }) => name)).toEqual(victims ?? []);
  expect(plan.kind === "refuse" ? plan.available.ramBytes : undefined).toBe(refused);
});

test("each kind of memory and their sum must hold the model", () => {
  const demand = { ramBytes: 10, gpuBytes: 20 };
  const plan = (ramBytes: number, gpuBytes: number, totalBytes: number) =>
    planAdmission({
      needed: () => demand,
      jit: true,
      kind: "llm",
      available: beside({ ramBytes, gpuBytes, totalBytes }),
      residents: [],
      keepLastJit: false,
    }).kind;
  expect(plan(10, 20, 30)).toBe("admit");
  expect([plan(9, 99, 99), plan(99, 19, 99), plan(99, 99, 29)]).toEqual(Array(3).fill("refuse"));
});

test("GPU memory that an idle model gives back takes layers out of main memory", () => {
  const plan = planAdmission({
    needed: ({ gpuBytes }) => ({
      ramBytes: 100 - Math.min(80, gpuBytes),
      gpuBytes: Math.min(80, gpuBytes),
    }),
    jit: true,
    kind: "llm",
    available: beside({ ramBytes: 50, gpuBytes: 10, totalBytes: Infinity }),
    residents: [resident("idle", { demand: { ramBytes: 0, gpuBytes: 60 } })],
    keepLastJit: false,
  });
  expect(plan).toMatchObject({ kind: "admit", demand: { ramBytes: 30, gpuBytes: 70 } });
});
