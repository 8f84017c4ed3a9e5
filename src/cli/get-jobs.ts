import { Type, type Static } from "typebox";
import * as words from "../config/word-settings.ts";
import { EXIT, type Terminal } from "./command.ts";
import { sizeText } from "./model-json.ts";
import type { Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";
import { textTable } from "./text-table.ts";

const jobFlag = (flag: string, help: string) =>
  words.textSetting({ flag, argument: "<job>", flagOnly: true, help });

/** Flags of `get` for the downloads of a running server. */
export const JOB_FLAGS = {
  jobs: words.flagSetting({
    flag: "jobs",
    fallback: false,
    flagOnly: true,
    help: "List the server's downloads",
  }),
  pause: jobFlag("pause", "Pause a download of the server"),
  resume: jobFlag("resume", "Go on with a paused or failed download"),
  cancel: jobFlag("cancel", "End a download and remove what it fetched"),
};

interface JobValues {
  jobs: boolean;
  pause: string | null;
  resume: string | null;
  cancel: string | null;
  json: boolean;
}

/** One job of `/api/lmserver/downloads`, as far as it is used here. */
const Job = Type.Object({
  job_id: Type.String(),
  status: Type.String(),
  model: Type.String(),
  quantization: Type.Union([Type.String(), Type.Null()]),
  total_size_bytes: Type.Number(),
  downloaded_bytes: Type.Number(),
});
const Jobs = Type.Object({ downloads: Type.Array(Job) });

export const isAboutJobs = ({ jobs, pause, resume, cancel }: JobValues): boolean =>
  jobs || [pause, resume, cancel].some((id) => id !== null);

/** Changes the jobs that were named, then lists, or shows what was changed. @returns the exit code. */
export async function runJobs(
  values: JobValues,
  target: Target,
  { print }: Pick<Terminal, "print">,
): Promise<number> {
  const changed: Static<typeof Job>[] = [];
  for (const action of ["pause", "resume", "cancel"] as const) {
    const { [action]: id } = values;
    if (id === null) continue;
    const path = "/api/lmserver/downloads/control";
    changed.push(await askServer(target, { path, schema: Job, body: { job_id: id, action } }));
  }
  const shown = values.jobs ? await listJobs(target) : changed;
  if (values.json) print(JSON.stringify(shown));
  else if (shown.length === 0) print("There are no downloads.");
  else for (const line of textTable([HEAD, ...shown.map(toRow)])) print(line);
  return EXIT.ok;
}

async function listJobs(target: Target): Promise<Static<typeof Job>[]> {
  const { downloads } = await askServer(target, {
    path: "/api/lmserver/downloads",
    schema: Jobs,
  });
  return downloads;
}

const HEAD = ["JOB", "MODEL", "STATUS", "SIZE", "DONE"];

function toRow(job: Static<typeof Job>): string[] {
  const { quantization, total_size_bytes: total, downloaded_bytes: done } = job;
  return [
    job.job_id,
    quantization === null ? job.model : `${job.model}@${quantization}`,
    job.status,
    sizeText(total),
    `${total === 0 ? 0 : Math.floor((done / total) * 100)}%`,
  ];
}
