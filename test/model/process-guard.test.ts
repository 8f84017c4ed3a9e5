import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";

const TURNS = JSON.stringify(join(import.meta.dir, "../../src/llama/short-turns.ts"));
const GUARD = JSON.stringify(join(import.meta.dir, "../../src/llama/process-guard.ts"));

/** Whether the process is there and is not a zombie. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe.if(process.platform === "linux")("process guards", () => {
  test("a busy process dies with its parent, whatever killed that", async () => {
    const child = `
      import { dieWithParent } from ${GUARD};
      dieWithParent(process.ppid);
      console.log(process.pid);
      for (;;) Math.sqrt(2);`;
    const parent = `
      const child = Bun.spawn([process.execPath, "-e", ${JSON.stringify(child)}], { stdout: "inherit" });
      await child.exited;`;
    const process_ = Bun.spawn([process.execPath, "-e", parent], { stdout: "pipe" });
    const reader = process_.stdout.getReader();
    const { value } = await reader.read();
    const pid = Number(new TextDecoder().decode(value));
    expect(isRunning(pid)).toBe(true);
    process_.kill("SIGKILL");
    await process_.exited;
    await until(() => !isRunning(pid));
  });

  test("a process whose parent is another one already ends at once", async () => {
    const source = `
      import { dieWithParent } from ${GUARD};
      dieWithParent(process.ppid + 1);
      console.log("still here");`;
    const started = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
    expect(await new Response(started.stdout).text()).toBe("");
    expect(await started.exited).toBe(1);
  });

  // Kernels before 6.12 have turns of one length; some do not tell.
  const turnOf = (text: string): string | undefined => /^se\.slice\s*:\s*(\d+)$/m.exec(text)?.[1];
  const usual = existsSync("/proc/self/sched")
    ? turnOf(readFileSync("/proc/self/sched", "utf8"))
    : undefined;
  if (usual === undefined) console.error("skipped: this kernel does not tell the length of turns");
  test.if(usual !== undefined)("a thread that asks for short turns has them alone", async () => {
    const source = `
      import { takeShortTurns } from ${TURNS};
      const turn = () => require("fs").readFileSync("/proc/self/sched", "utf8");
      const isTaken = takeShortTurns();
      const child = Bun.spawnSync(["cat", "/proc/self/sched"]).stdout.toString();
      console.log(JSON.stringify({ isTaken, own: turn(), child }));`;
    const started = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
    const { isTaken, own, child } = (await new Response(started.stdout).json()) as {
      isTaken: boolean;
      own: string;
      child: string;
    };
    expect([isTaken, turnOf(own), turnOf(child)]).toEqual([true, "100000", usual]);
  });

  test("new privileges, core files and memory dumps are given up", async () => {
    const source = `
      import { readFileSync } from "node:fs";
      import { forbidMemoryDumps, forbidNewPrivileges } from ${GUARD};
      console.log(forbidNewPrivileges(), forbidMemoryDumps());
      console.log(/NoNewPrivs:\\s+1/.test(readFileSync("/proc/self/status", "utf8")));
      console.log(/Max core file size\\s+0\\s+0/.test(readFileSync("/proc/self/limits", "utf8")));`;
    const started = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
    expect(await new Response(started.stdout).text()).toBe("true true\ntrue\ntrue\n");
  });
});
