import type { Server, ServerOptions } from "./servers.ts";

/** One number of each round, of both sides. */
export interface Measure {
  /** What was measured, with its unit: `tokens/s, 4 clients`. */
  what: string;
  ours: readonly number[];
  /** In the same order of rounds, or the other half of a comparison of ours with itself. */
  peer: readonly number[] | null;
  target?: Target;
}

/** What the median ratio ours / peer, or our median itself, has to keep. */
export interface Target {
  of: "ratio" | "value";
  atLeast?: number;
  atMost?: number;
}

/** What a workload gets from the frame. */
export interface Bench {
  /** The model file under measurement. */
  readonly model: string;
  readonly rounds: number;
  /** The executable and the peer's, for a workload that starts servers in its own way. */
  readonly executable: string;
  readonly peerPath: string | null;
  /** Value of one of the workload's own flags. */
  option(name: string): string;
  /** The same as a number. */
  number(name: string): number;
  /**
   * Starts ours and, with `--peer`, llama-server with the same slots and context; ours is first.
   * They are stopped when the workload ends.
   */
  open(options: Omit<ServerOptions, "model"> & { model?: string }): Promise<Server[]>;
  /** Stops these when the workload ends, too. */
  adopt<S extends Server>(server: S): S;
  /** Tells what is going on, on stderr. */
  say(text: string): void;
}

/** A file of `workloads/`, named for the workload. */
export interface Workload {
  /** Its own flags with their defaults. */
  options: Readonly<Record<string, string>>;
  run: (bench: Bench) => Promise<Measure[]>;
}

/** llama.cpp's threads spin for about 200 ms after their last decode; nobody's may meet the next turn. */
const CALM_MS = 400;

/**
 * Lets the servers take turns, the order changing from round to round, so that the machine's noise
 * hits all alike.
 * @returns the results of each server, in the order of `servers`, by round.
 */
export async function alternate<Result>(
  servers: readonly Server[],
  rounds: number,
  run: (server: Server, round: number) => Promise<Result>,
  calmMs = CALM_MS,
): Promise<Result[][]> {
  const results = servers.map((): Result[] => []);
  for (let round = 0; round < rounds; round++) {
    const order = servers.map((server, index) => ({ server, index }));
    for (const { server, index } of round % 2 === 0 ? order : order.toReversed()) {
      await Bun.sleep(calmMs);
      results[index]?.push(await run(server, round));
    }
  }
  return results;
}

/** The same number of each side's results, as a measure. */
export function measure<Result>(
  results: readonly (readonly Result[])[],
  what: string,
  number: (result: Result) => number,
  target?: Target,
): Measure {
  const [ours = [], peer] = results;
  return {
    what,
    ours: ours.map(number),
    peer: peer?.map(number) ?? null,
    ...(target !== undefined && { target }),
  };
}
