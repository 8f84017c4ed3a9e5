import { existsSync } from "node:fs";
import { buildInfo, prepareBundle } from "../bundle/bundle.ts";
import { cacheFolder, resolveFolders } from "../config/paths.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { LmError } from "../lib/errors.ts";
import { memoryState } from "../pool/free-memory.ts";
import { isLoopback } from "./banner.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { listen } from "./listen.ts";
import { probeEngine, type EngineProbe } from "./engine-probe.ts";
import { checkModelsFolder, checkStateFolder, type Check } from "./doctor-folders.ts";
import { checkSettings } from "./doctor-settings.ts";
import { gibText, sizeText } from "./model-json.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  json: JSON_OUTPUT,
  port: SERVE_SETTINGS.port,
  bind: SERVE_SETTINGS.bind,
  modelsDirs: SERVE_SETTINGS.modelsDirs,
  cacheDir: SERVE_SETTINGS.cacheDir,
  stateDir: SERVE_SETTINGS.stateDir,
  apiKeys: SERVE_SETTINGS.apiKeys,
  apiKeyFile: SERVE_SETTINGS.apiKeyFile,
};

/** `lmserver doctor`: looks at everything a start needs, and goes on after a failure. */
export const doctor: Command = {
  settings: FLAGS,
  operands: "",
  async run(args, terminal) {
    process.umask(0o077);
    const { values } = parseVerb(FLAGS, args, terminal.env, { operands: 0 });
    const found = resolveFolders(values, terminal.env);
    const folders = "folders" in found ? found.folders : null;
    const checks: Check[] = [...checkEnvironment(terminal.env)];
    checks.push(...checkSettings(args, terminal.env));
    const stateDir = folders?.stateDir ?? values.stateDir;
    const modelsDirs = folders?.modelsDirs ?? values.modelsDirs;
    if (stateDir !== null) checks.push(checkStateFolder(stateDir));
    // A missing one is told among the settings.
    checks.push(...modelsDirs.filter((path) => existsSync(path)).map(checkModelsFolder));
    const cacheDir = cacheFolder(values, terminal.env);
    const { check, probe } = await checkEngine(cacheDir, terminal.env);
    checks.push(check, ...(probe === null ? [] : deviceChecks(probe)), memoryCheck());
    checks.push(await checkPort(values.bind, values.port));
    const hasKey = values.apiKeys.length > 0 || values.apiKeyFile !== null;
    if (!isLoopback(values.bind) && !hasKey)
      checks.push(
        warn("access", `${values.bind} can be reached from the network, and no key is required`),
      );
    const failed = checks.filter((entry) => entry.status === "fail");
    if (values.json) terminal.print(JSON.stringify(report(checks, probe)));
    else for (const line of lines(checks)) terminal.print(line);
    if (check.status === "fail") return EXIT.engineUnavailable;
    return failed.length > 0 ? EXIT.failed : EXIT.ok;
  },
};

const warn = (name: string, detail: string): Check => ({ name, status: "warn", detail });

/** Variables that change what the executable itself does. */
function* checkEnvironment(env: Terminal["env"]): Generator<Check> {
  for (const name of ["BUN_OPTIONS", "BUN_BE_BUN"]) {
    if (env[name] !== undefined && env[name] !== "")
      yield warn("environment", `${name} is set and changes how the program runs; unset it`);
  }
}

async function checkEngine(
  cacheDir: string | null,
  env: Terminal["env"],
): Promise<{ check: Check; probe: EngineProbe | null }> {
  const name = "engine";
  if (cacheDir === null && buildInfo().isStandalone) {
    return {
      check: { name, status: "fail", detail: "no cache folder: use --cache-dir" },
      probe: null,
    };
  }
  try {
    const bundle = prepareBundle({ cacheDir: cacheDir ?? "" });
    const probe = await probeEngine(bundle.engineCommand, env);
    const variant = probe.cpuVariant ?? "the machine's own";
    const detail = `llama.cpp ${probe.release} loads; CPU variant ${variant}; ${probe.threads} threads`;
    return { check: { name, status: "ok", detail }, probe };
  } catch (error) {
    if (!(error instanceof LmError) && !(error instanceof ExitError)) throw error;
    return { check: { name, status: "fail", detail: error.message }, probe: null };
  }
}

function deviceChecks({ devices }: EngineProbe): Check[] {
  const gpus = devices.filter((device) => device.isGpu);
  if (gpus.length === 0)
    return [{ name: "GPU", status: "ok", detail: "none found: models run on the CPU" }];
  return gpus.map(({ name, description, freeBytes, totalBytes }) => ({
    name: "GPU",
    status: "ok",
    detail: `${name} ${description}: ${sizeText(freeBytes)} of ${sizeText(totalBytes)} free`,
  }));
}

/** What models can be loaded into now, in the control group of this process. */
function memoryCheck(): Check {
  const { availableBytes, totalBytes } = memoryState();
  const detail = `${gibText(availableBytes)} of ${gibText(totalBytes)} available`;
  return { name: "memory", status: "ok", detail };
}

async function checkPort(bind: string, port: number): Promise<Check> {
  const name = "port";
  const app = { fetch: async () => new Response(null, { status: 200 }) };
  try {
    const listener = await listen({ bind, port, app });
    await listener.closeAll();
    const what = port === 0 ? "a free port can be taken" : `${port} is free`;
    return { name, status: "ok", detail: `${what} on ${bind}` };
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    // A server that runs already is no fault of the machine.
    const status = error.code === "port_in_use" ? "warn" : "fail";
    return { name, status, detail: error.message };
  }
}

function report(checks: readonly Check[], probe: EngineProbe | null): Record<string, unknown> {
  const { version, commit, llamaRelease, buildId } = buildInfo();
  const ok = checks.every((entry) => entry.status !== "fail");
  return {
    ok,
    version,
    commit,
    engine: `llama.cpp ${llamaRelease}`,
    buildId,
    checks,
    system: probe,
  };
}

function lines(checks: readonly Check[]): string[] {
  const marks = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
  return checks.map(({ name, status, detail }) => `${marks[status]}  ${name}: ${detail}`);
}
