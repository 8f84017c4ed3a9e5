import { expect, test } from "bun:test";
import {
  planAdmission,
  type AdmissionRequest,
  type Resident,
} from "../../../src/pool/admission.ts";

interface Named extends Resident {
  name: string;
}

const resident = (name: string, facts: Partial<Resident> = {}): Named => ({
  name,
  bytes: 100,
  jit: true,
  kind: "llm",
  isIdle: true,
  lastUsedMs: 0,
  ...facts,
});

interface Case extends Partial<AdmissionRequest<Named>> {
  name: string;
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

test.each(cases)("admission: $name", ({ victims, refused, name: _name, ...request }) => {
  const plan = planAdmission({
    neededBytes: 100,
    jit: true,
    kind: "llm",
    availableBytes: 0,
    residents: [],
    keepLastJit: false,
    ...request,
  });
  if (plan.kind === "admit") expect(plan.victims.map(({ name }) => name)).toEqual(victims ?? []);
  expect(plan.kind === "refuse" ? plan.availableBytes : undefined).toBe(refused);
});
