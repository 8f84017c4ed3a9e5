import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import { DownloadManager } from "./download-manager.ts";
import type { Downloads } from "./downloads.ts";
import { JobRecords } from "./job-records.ts";
import { outboundOf } from "./open-url.ts";
import { transferTools } from "./transfer-tools.ts";

export interface DownloadOptions {
  /** Receives the models as `<owner>/<repo>/<file>`; made when missing. */
  modelsDir: string;
  /** `HF_ENDPOINT`, `HF_TOKEN`, and the proxy variables; read once. */
  env: Readonly<Record<string, string | undefined>>;
  /** File that lists the jobs for the next process; absent = none does. */
  recordsPath?: string;
  /** Runs before a job is seen as completed, for example a new look of the catalogue. */
  onComplete: () => Promise<void>;
  clock: Clock;
  log: Log;
}

/**
 * Downloads of one process; the caller closes them.
 * @throws LmError `invalid_config` when `HF_ENDPOINT` is no URL.
 */
export function createDownloads(options: DownloadOptions): Downloads {
  const { modelsDir, env, recordsPath, onComplete, clock, log } = options;
  const tools = transferTools(outboundOf(env), { clock, log });
  const records = recordsPath === undefined ? {} : { records: new JobRecords(recordsPath) };
  return new DownloadManager({ modelsDir, tools, onComplete, ...records });
}
