import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../lib/system-code.ts";

/** One thing that was looked at. */
export interface Check {
  name: string;
  status: "ok" | "warn" | "fail";
  detail: string;
}

/** Whether files can be created in a folder; creates it as a start would. */
export function checkFolder(name: string, path: string): Check {
  const file = join(path, `.lmserver-doctor-${process.pid}`);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(file, "", { flag: "wx" });
    rmSync(file);
    return { name, status: "ok", detail: `${path} is writable` };
  } catch (error) {
    const code = systemCode(error) ?? "unknown failure";
    // Models are only read; without a place for downloads the server still works.
    const status = name === "models folder" ? "warn" : "fail";
    return { name, status, detail: `${path} is not writable (${code})` };
  }
}
