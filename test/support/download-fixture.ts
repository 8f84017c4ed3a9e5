import { DownloadManager } from "../../src/catalog/download/download-manager.ts";
import type { DownloadSnapshot } from "../../src/catalog/download/downloads.ts";
import { JobRecords } from "../../src/catalog/download/job-records.ts";
import { outboundOf, type Outbound } from "../../src/catalog/download/open-url.ts";
import { transferTools, type TransferTools } from "../../src/catalog/download/transfer-tools.ts";
import type { FakeHub } from "./fake-hub.ts";

const KIB = 1024;

export interface DownloadFixture {
  downloads: DownloadManager;
  /** Milliseconds of each wait between two tries; none of them passed. */
  waits: number[];
}

/** A manager that fetches from `hub` in small ranges, and does not wait between tries. */
export function downloadsFrom(
  hub: FakeHub,
  modelsDir: string,
  changes: {
    outbound?: Partial<Outbound>;
    tools?: Partial<TransferTools>;
    /** File that lists the jobs for the next manager. */
    recordsPath?: string;
  } = {},
): DownloadFixture {
  const waits: number[] = [];
  const tools = transferTools(
    { ...outboundOf({ HF_ENDPOINT: hub.url }), ...changes.outbound },
    {
      patience: {
        sleep: (ms, signal) => {
          waits.push(ms);
          signal.throwIfAborted();
          return Promise.resolve();
        },
        random: () => 0,
        maxAttempts: 4,
        longestWaitMs: 600_000,
      },
      partBytes: () => 64 * KIB,
      journalEveryBytes: 16 * KIB,
      freeBytes: () => Promise.resolve(2 ** 40),
      ...changes.tools,
    },
  );
  const onComplete = () => Promise.resolve();
  const { recordsPath } = changes;
  const records = recordsPath === undefined ? {} : { records: new JobRecords(recordsPath) };
  return { downloads: new DownloadManager({ modelsDir, tools, onComplete, ...records }), waits };
}

/** Starts a download and waits for its end. */
export async function download(
  downloads: DownloadManager,
  model: string,
  quantization: string | null = null,
): Promise<DownloadSnapshot> {
  const job = await downloads.start({ model, quantization, owner: null, allowAnyHost: false });
  if (job.state === "already_downloaded") throw new Error("it was there already");
  const end = await downloads.settled(job.id);
  if (end === null) throw new Error("the job is unknown");
  return end;
}
