import { expect, test } from "bun:test";
import { fits } from "../../../src/pool/demand.ts";
import { Reservations, type Holder } from "../../../src/pool/reservations.ts";

interface Model extends Holder {
  name: number;
  state: "waiting" | "begun" | "ending";
  awaited: readonly Model[];
}

function randomOf(seed: number): (limit: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const CAPACITY = { ramBytes: 100, gpuBytes: 60, totalBytes: 130 };

/** Models that come, wait for others, begin, leave and give up in any order that is allowed. */
class Memory {
  readonly #random: (limit: number) => number;
  readonly #reservations = new Reservations<Model>();
  models: Model[] = [];
  admitted = 0;
  overtook = 0;
  returned = 0;

  constructor(random: (limit: number) => number) {
    this.#random = random;
  }

  turn(): void {
    const kind = this.#random(11);
    if (kind < 4) this.admit();
    else if (kind < 7) this.begin();
    else if (kind < 9) this.leave();
    else if (kind < 10) this.withdraw();
    else this.returnAnew();
    this.check();
  }

  /** One more, or one anew, for which as many others leave as it needs, the first ones met. */
  admit(again?: Model): void {
    const demand = { ramBytes: 1 + this.#random(60), gpuBytes: this.#random(40) };
    const left: Model[] = [];
    const others = this.models.toSorted(() => this.#random(3) - 1);
    for (;;) {
      const available = this.#reservations.available(CAPACITY, this.models, left);
      if (fits(demand, available)) break;
      const next = others.pop();
      if (next === undefined) return;
      left.push(next);
    }
    for (const one of left) if (one.state === "begun") one.state = "ending";
    this.admitted += 1;
    if (left.length === 0 && this.models.some(({ state }) => state === "waiting"))
      this.overtook += 1;
    const place = { demand, state: "waiting", awaited: left } as const;
    const model = Object.assign(again ?? { name: this.admitted }, place);
    this.models.push(model);
    this.#reservations.add(model, left);
  }

  /** Any of those whose predecessors are gone. */
  begin(): void {
    const free = this.models.filter(
      ({ state, awaited }) =>
        state === "waiting" && !awaited.some((one) => this.models.includes(one)),
    );
    const model = free[this.#random(free.length)];
    if (model === undefined) return;
    this.#reservations.delete(model);
    const isAwaited = this.models.some(({ awaited }) => awaited.includes(model));
    model.state = isAwaited ? "ending" : "begun";
  }

  leave(): void {
    const ending = this.models.filter(({ state }) => state === "ending");
    const gone = ending[this.#random(ending.length)];
    this.models = this.models.filter((model) => model !== gone);
  }

  /** What was in memory crashes, is free for those who wait for it, and is asked for again. */
  returnAnew(): void {
    const present = this.models.filter(({ state }) => state !== "waiting");
    const crashed = present[this.#random(present.length)];
    if (crashed === undefined) return;
    this.models = this.models.filter((model) => model !== crashed);
    for (const model of this.models)
      model.awaited = model.awaited.filter((other) => other !== crashed);
    this.returned += 1;
    this.admit(crashed);
  }

  withdraw(): void {
    const waiting = this.models.filter(({ state }) => state === "waiting");
    const gone = waiting[this.#random(waiting.length)];
    if (gone === undefined) return;
    this.#reservations.delete(gone);
    this.models = this.models.filter((model) => model !== gone);
    for (const one of gone.awaited) {
      const isAwaited = this.models.some(({ awaited }) => awaited.includes(one));
      if (one.state === "ending" && !isAwaited) one.state = "begun";
    }
  }

  check(): void {
    const present = this.models.filter(({ state }) => state !== "waiting");
    const ramBytes = present.reduce((sum, { demand }) => sum + demand.ramBytes, 0);
    const gpuBytes = present.reduce((sum, { demand }) => sum + demand.gpuBytes, 0);
    if (!fits({ ramBytes, gpuBytes }, CAPACITY))
      throw new Error(`${ramBytes} + ${gpuBytes} bytes are in use`);
  }
}

test("whatever begins, leaves, returns or gives up first, what is in memory fits, and nobody waits for ever", () => {
  let overtook = 0;
  let returned = 0;
  for (let seed = 1; seed <= 300; seed += 1) {
    const memory = new Memory(randomOf(seed));
    for (let turn = 0; turn < 120; turn += 1) memory.turn();
    for (let turn = 0; turn < 200; turn += 1) {
      memory.begin();
      memory.leave();
      memory.check();
    }
    const waiting = memory.models.filter(({ state }) => state === "waiting");
    expect([seed, waiting]).toEqual([seed, []]);
    overtook += memory.overtook;
    returned += memory.returned;
  }
  expect(overtook).toBeGreaterThan(300);
  expect(returned).toBeGreaterThan(300);
}, 60_000);

/** Pairs of models of which the second waits for the first, and how much is left beside all. */
function leftBeside(pairs: readonly (readonly [Holder, Holder])[]) {
  const reservations = new Reservations<Holder>();
  for (const [busy, waiting] of pairs) reservations.add(waiting, [busy]);
  const { ramBytes, gpuBytes, totalBytes } = reservations.available(CAPACITY, pairs.flat(), []);
  return [ramBytes, gpuBytes, totalBytes];
}

const needs = (ramBytes: number, gpuBytes: number): Holder => ({ demand: { ramBytes, gpuBytes } });

test("one that waits and the one it waits for never count both, whoever else waits", () => {
  const chat = [needs(40, 0), needs(45, 0)] as const;
  const embedding = [needs(20, 0), needs(15, 0)] as const;
  expect(leftBeside([chat])).toEqual([55, 60, 85]);
  expect(leftBeside([chat, embedding])).toEqual([35, 60, 65]);
});

test("of two that are never in memory together each kind of memory keeps the larger demand", () => {
  const pair = [needs(40, 5), needs(10, 30)] as const;
  expect(leftBeside([pair, [needs(1, 1), needs(1, 1)]])).toEqual([59, 29, 83]);
});

test("of a row in which each waits for all before it one counts, the largest", () => {
  const reservations = new Reservations<Holder>();
  const row = [needs(30, 0), needs(60, 0), needs(50, 0)];
  for (const [index, holder] of row.entries())
    if (index > 0) reservations.add(holder, row.slice(0, index));
  const pair = [needs(20, 0), needs(20, 0)] as const;
  reservations.add(pair[1], [pair[0]]);
  expect(reservations.available(CAPACITY, [...row, ...pair], []).ramBytes).toBe(20);
});
