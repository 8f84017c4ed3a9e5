import type { Round } from "./round.ts";
import type { Server } from "./servers.ts";

export interface Row {
  server: string;
  clients: number;
  tokensPerSecond: number;
  ttftP50Ms: number;
  ttftP95Ms: number;
  interTokenP50Ms: number;
  interTokenP95Ms: number;
  /** Median over rounds of ours / peer; null for the peer and without one. */
  ratio: number | null;
}

export interface Summary {
  rows: readonly Row[];
  servers: readonly { name: string; startMs: number | null; peakMegabytes: number | null }[];
}

/** Medians over rounds. The ratio compares neighbouring rounds, which the same noise hit. */
export function summarize(rounds: readonly Round[], servers: readonly Server[]): Summary {
  const [ours, peer] = servers;
  const rows = [...new Set(rounds.map(({ clients }) => clients))].flatMap((clients) =>
    servers.map(({ name }): Row => {
      const mine = rounds.filter((round) => round.clients === clients && round.server === name);
      const peers = rounds.filter(
        (round) => round.clients === clients && round.server === peer?.name,
      );
      const isOurs = name === ours?.name && peers.length > 0;
      const ttft = mine.flatMap(({ ttftMs }) => ttftMs);
      const gaps = mine.flatMap(({ interTokenMs }) => interTokenMs);
      return {
        server: name,
        clients,
        tokensPerSecond: quantile(
          mine.map((round) => round.tokensPerSecond),
          0.5,
        ),
        ttftP50Ms: quantile(ttft, 0.5),
        ttftP95Ms: quantile(ttft, 0.95),
        interTokenP50Ms: quantile(gaps, 0.5),
        interTokenP95Ms: quantile(gaps, 0.95),
        ratio: isOurs
          ? quantile(
              mine.map(
                (round, i) => round.tokensPerSecond / (peers[i]?.tokensPerSecond ?? Number.NaN),
              ),
              0.5,
            )
          : null,
      };
    }),
  );
  return {
    rows,
    servers: servers.map((server) => {
      const bytes = server.peakBytes();
      return {
        name: server.name,
        startMs: server.startMs,
        peakMegabytes: bytes === null ? null : bytes / 1e6,
      };
    }),
  };
}

export function table({ rows, servers }: Summary): string {
  const head =
    "| server | clients | tokens/s | TTFT p50 / p95 ms | inter-token p50 / p95 ms | ratio |";
  const lines = rows.map(
    (row) =>
      `| ${row.server} | ${row.clients} | ${row.tokensPerSecond.toFixed(1)} ` +
      `| ${row.ttftP50Ms.toFixed(1)} / ${row.ttftP95Ms.toFixed(1)} ` +
      `| ${row.interTokenP50Ms.toFixed(2)} / ${row.interTokenP95Ms.toFixed(2)} ` +
      `| ${row.ratio?.toFixed(3) ?? ""} |`,
  );
  const facts = servers.map(
    ({ name, startMs, peakMegabytes }) =>
      `${name}: start to first answer ${startMs?.toFixed(0) ?? "?"} ms, ` +
      `peak memory besides mapped files ${peakMegabytes?.toFixed(0) ?? "?"} MB`,
  );
  return [head, "| --- | --- | --- | --- | --- | --- |", ...lines, "", ...facts].join("\n");
}

/** The value below which the share `q` of the numbers lies; NaN for none. */
function quantile(numbers: readonly number[], q: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
