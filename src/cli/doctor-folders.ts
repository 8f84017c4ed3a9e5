import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../lib/system-code.ts";

/** One thing that was looked at. */
export interface Check {
  name: string;
  status: "ok" | "warn" | "fail";
  detail: string;
}

/** Whether files can be created in the state folder; creates it as a start would. */
export function checkStateFolder(path: string): Check {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    return unwritable("state folder", "fail", path, error);
  }
  return checkWritable("state folder", "fail", path);
}

/** Models are only read; without a place for downloads the server still works. */
export const checkModelsFolder = (path: string): Check =>
  checkWritable("models folder", "warn", path);

function checkWritable(name: string, otherwise: Check["status"], path: string): Check {
  const file = join(path, `.lmserver-doctor-${process.pid}`);
  try {
    writeFileSync(file, "", { flag: "wx" });
    rmSync(file);
    return { name, status: "ok", detail: `${path} is writable` };
  } catch (error) {
    return unwritable(name, otherwise, path, error);
  }
}

function unwritable(name: string, status: Check["status"], path: string, error: unknown): Check {
  const code = systemCode(error) ?? "unknown failure";
  return { name, status, detail: `${path} is not writable (${code})` };
}
