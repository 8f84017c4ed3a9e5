import { systemClock, type Clock } from "../../lib/clock.ts";
import { silentLog, type Log } from "../../lib/log.ts";
import type { Outbound } from "./open-url.ts";
import { sleepOn, type Patience } from "./retry.ts";
import { freeBytesOf } from "./target-file.ts";

/** What transfers need of the world, and their measures. */
export interface TransferTools {
  outbound: Outbound;
  clock: Clock;
  log: Log;
  patience: Patience;
  /** Silence after which a connection is given up. */
  stallMs: number;
  /** Ranges of one file fetched at the same time. */
  connections: number;
  /** Size of one range of a file. */
  partBytes: (fileBytes: number) => number;
  /** The journal follows when so many new bytes have arrived. */
  journalEveryBytes: number;
  /** Space an ordinary user may still fill on a folder's disk. */
  freeBytes: (folder: string) => Promise<number>;
}

const MIB = 2 ** 20;

/** Proven measures: ranges long enough to hide a redirect, few enough to list in a journal. */
export function transferTools(
  outbound: Outbound,
  changes: Partial<TransferTools> = {},
): TransferTools {
  const clock = changes.clock ?? systemClock;
  return {
    outbound,
    clock,
    log: silentLog,
    patience: {
      sleep: sleepOn(clock),
      random: Math.random,
      maxAttempts: 8,
      longestWaitMs: 10 * 60_000,
    },
    stallMs: 30_000,
    connections: 4,
    partBytes: (fileBytes) => Math.min(256 * MIB, Math.max(16 * MIB, Math.ceil(fileBytes / 64))),
    journalEveryBytes: 16 * MIB,
    freeBytes: freeBytesOf,
    ...changes,
  };
}
