import { buildInfo, prepareBundle, type BuildInfo, type PreparedBundle } from "../bundle/bundle.ts";
import { prepareServerProcess } from "../engine/server-process.ts";
import { systemClock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Log, LogLevel } from "../lib/log.ts";
import { LogFeed } from "../http/log-feed.ts";
import { bannerLines, exposureWarnings } from "./banner.ts";
import { EXIT, ExitError, ReaderGone, type Command, type Terminal } from "./command.ts";
import { listen, type Listener } from "./listen.ts";
import { createLog, type LogOptions } from "./log-writer.ts";
import { keepPrefixCap } from "./prefix-folder.ts";
import { reloadConfig } from "./reload.ts";
import { catalogFolders, planServe, SERVE_FLAGS, type ServePlan } from "./serve-config.ts";
import { wireServer, type Server } from "./server-parts.ts";
import { watchSignals, type Signals } from "./signals.ts";
import { takeStateLock, type StateLock } from "./state-lock.ts";
import { LineSink } from "./stderr-sink.ts";

/** Time open answers get to leave after the last engine ended. */
const FLUSH_MS = 2_000;

/** `lmserver serve`: runs the server in the foreground until it is signalled. */
export const serve: Command = {
  settings: SERVE_FLAGS,
  operands: "",
  async run(args, terminal) {
    process.umask(0o077);
    prepareServerProcess();
    const plan = planServe(args, terminal.env);
    const build = buildInfo();
    const lock = takeStateLock(plan.folders.stateDir, build.version);
    try {
      const bundle = prepareBundle({ cacheDir: plan.folders.cacheDir });
      return await runServer({ args, plan, build, bundle, lock, terminal });
    } finally {
      lock.release();
    }
  },
};

interface Start {
  args: readonly string[];
  plan: ServePlan;
  build: BuildInfo;
  bundle: PreparedBundle;
  lock: StateLock;
  terminal: Terminal;
}

async function runServer(start: Start): Promise<number> {
  const { args, plan, lock, terminal } = start;
  // What a reload may change while running.
  const live = { logLevel: plan.config.logLevel, aliases: plan.config.aliases };
  const logging = openLog(plan, () => live.logLevel);
  const { log, sink } = logging;
  const signals = watchSignals(() => {
    reloadConfig({ args, env: terminal.env, running: plan, live, log });
    void server.catalog.rescan();
  });
  const server = wireServer({
    ...start,
    log,
    logFeed: logging.feed,
    env: terminal.env,
    aliases: () => live.aliases,
    isStopping: () => signals.stopping.aborted,
  });
  const { bind, port, prefixCacheDiskBytes, shutdownGraceSeconds } = plan.config;
  let listener: Listener;
  try {
    // Beside the start: a folder of many files takes its time.
    void keepPrefixCap(plan.folders.cacheDir, prefixCacheDiskBytes, { clock: systemClock, log });
    await server.downloads.restore();
    listener = await listen({ bind, port, app: server.app });
  } catch (error) {
    await server.pool.close(0);
    throw error;
  }
  try {
    lock.announce({ url: listener.url, port: listener.port, catalog: catalogPlaces(start) });
    await preload(plan, server, signals, log);
    server.isReady = true;
    if (!signals.stopping.aborted) await announceReady(start, server, listener, logging);
    server.templates.prepare();
    const signal = await signals.stop;
    log.info("stopping", { signal, graceSeconds: shutdownGraceSeconds });
  } finally {
    // Whoever watches the log would keep its connection open.
    logging.feed.close();
    await drain(listener, server, shutdownGraceSeconds * 1_000);
    log.info("stopped");
    await sink.drain(FLUSH_MS);
  }
  return EXIT.ok;
}

/** What the catalogue of this server is made of, for the verbs that look at it themselves. */
const catalogPlaces = ({ plan, bundle }: Start) => ({
  folders: catalogFolders(plan.folders),
  demoPath: plan.config.demo ? bundle.demoPath : null,
});

interface Logging {
  log: Log;
  format: "text" | "json";
  sink: LineSink;
  feed: LogFeed;
}

function openLog({ config }: ServePlan, level: () => LogLevel): Logging {
  const sink = new LineSink(Bun.stderr.writer());
  const format = config.logFormat ?? (process.stderr.isTTY ? "text" : "json");
  const write = (line: string): void => sink.write(line);
  const now = (): number => systemClock.now();
  const feed = new LogFeed(now);
  const watch: LogOptions["watch"] = (at, text) => {
    if (feed.isWatched("server")) {
      feed.publish({ type: "server.log", level: at, content: text() });
    }
  };
  return { log: createLog({ format, level, now, write, watch }), format, sink, feed };
}

/** Loads what `--load` names. @throws ExitError when one cannot be loaded and must be. */
async function preload(
  { config }: ServePlan,
  { catalog, pool }: Server,
  { stopping }: Signals,
  log: Log,
): Promise<void> {
  for (const name of config.preload) {
    if (stopping.aborted) return;
    try {
      const model = await catalog.find(name);
      if (model === null) throw new ExitError(EXIT.failed, `--load: no model is called "${name}".`);
      await pool.load(model, {}, stopping);
    } catch (error) {
      if (stopping.aborted) return;
      if (!(error instanceof ExitError) && !(error instanceof LmError)) throw error;
      if (!config.loadOptional) throw error;
      log.warn("a model of --load could not be loaded", { model: name, reason: error.message });
    }
  }
}

/** Tells people on stderr, and programs on stdout, that requests are answered from now on. */
async function announceReady(
  { plan, build, terminal }: Start,
  { catalog }: Server,
  listener: Listener,
  logging: Logging,
): Promise<void> {
  const { config, folders, apiKeys, keyInShell, warnings } = plan;
  const isProtected = apiKeys.length > 0 || config.requireAuth === true;
  const cors = config.cors !== null;
  const lines = bannerLines({
    build,
    urls: listener.urls,
    models: await catalog.list(),
    brokenCount: (await catalog.broken()).length,
    modelsDirs: catalogFolders(folders).map((folder) => folder.path),
    jit: config.jit,
    isProtected,
    keyInShell,
  });
  const exposure = exposureWarnings({ bind: config.bind, isProtected, cors });
  const isShown = config.logLevel === "debug" || config.logLevel === "info";
  if (logging.format === "json") {
    for (const line of lines) logging.log.info(line.trim());
    for (const line of [...warnings, ...exposure]) logging.log.warn(line);
  } else {
    const all = [...(isShown ? lines : []), ...warnings, ...exposure];
    logging.sink.write(all.map((line) => `${line}\n`).join(""));
  }
  if (!config.jsonReady) return;
  const { url, port } = listener;
  try {
    terminal.print(JSON.stringify({ event: "ready", url, port, pid: process.pid }));
  } catch (error) {
    // A server is there for its clients.
    if (!(error instanceof ReaderGone)) throw error;
  }
}

/**
 * Stops accepting, lets running requests finish within the grace time, fails the rest with their
 * dialect's error, ends every engine, closes every connection.
 */
async function drain(
  listener: Listener,
  { pool, templates, responses, downloads }: Server,
  graceMs: number,
): Promise<void> {
  const quiet = listener.stopAccepting();
  await Promise.all([downloads.close(), pool.close(graceMs)]);
  templates.close();
  await Promise.race([quiet, Bun.sleep(FLUSH_MS)]);
  await listener.closeAll();
  responses?.close();
}
