import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executableCommand } from "../support/executable.ts";
import { resultOf, runCommand } from "../support/run-command.ts";
import { tempFolder } from "../support/temp-folder.ts";

setDefaultTimeout(60_000);

const HARDENING = [
  "NoNewPrivileges=yes",
  "ProtectSystem=strict",
  "ProtectHome=read-only",
  "PrivateTmp=yes",
  "ProtectKernelTunables=yes",
  "ProtectKernelModules=yes",
  "ProtectControlGroups=yes",
  "RestrictSUIDSGID=yes",
  "RestrictRealtime=yes",
  "LockPersonality=yes",
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  "SystemCallArchitectures=native",
  "LimitCORE=0",
  "UMask=0077",
];

test("install-service --dry-run prints a hardened systemd unit and changes nothing", async () => {
  using folder = tempFolder();
  const env = { HOME: folder.path };
  const words = ["install-service", "--dry-run", "--manager", "systemd"];
  const serve = ["--", "--port", "8080", "--api-key-file", "/k/my $keys%"];
  const { code, stdout, stderr } = await runCommand([...words, ...serve], env);
  expect([code, stderr]).toEqual([0, ""]);
  const path = join(folder.path, ".config/systemd/user/lmserver.service");
  expect(stdout).toStartWith(`Would write ${path}:`);
  const lines = stdout.split("\n");
  for (const line of HARDENING) expect(lines).toContain(line);
  expect(stdout).not.toContain("MemoryDenyWriteExecute");
  expect(stdout).toMatch(/^ExecStart=\/.+ serve --port 8080 --api-key-file "\/k\/my \$\$keys%%"$/m);
  expect(lines).toContain(`ReadWritePaths=${folder.path}/.local/state/lmserver`);
  expect(lines.slice(lines.indexOf("Would run:"))).toEqual([
    "Would run:",
    "  systemctl --user daemon-reload",
    "  systemctl --user enable lmserver.service",
    "  systemctl --user restart lmserver.service",
    "",
  ]);
  expect(existsSync(join(folder.path, ".config"))).toBe(false);
  expect(existsSync(join(folder.path, ".lmserver"))).toBe(false);
  const document = JSON.parse((await runCommand([...words, "--json"], env)).stdout) as {
    path: string;
    text: string;
  };
  expect(document).toMatchObject({ path, dryRun: true });
  if (Bun.which("systemd-analyze") === null) {
    console.log("systemd-analyze is not installed: the unit is only compared, not verified");
    return;
  }
  const unit = join(folder.path, "lmserver.service");
  writeFileSync(unit, document.text);
  const verified = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", unit], {
    env: { ...process.env, SYSTEMD_LOG_LEVEL: "warning" },
  });
  const complaints = verified.stderr.toString().split("\n");
  expect(complaints.filter((line) => line.includes("lmserver.service"))).toEqual([]);
});

test("install-service --dry-run prints a launchd agent", async () => {
  using folder = tempFolder();
  const words = ["install-service", "--dry-run", "--manager", "launchd", "--", "--alias", "a&b=c"];
  const { code, stdout } = await runCommand(words, { HOME: folder.path });
  expect(code).toBe(0);
  expect(stdout).toContain(`${folder.path}/Library/LaunchAgents/local.lmserver.plist`);
  expect(stdout).toContain(
    "<string>serve</string>\n    <string>--alias</string>\n    <string>a&amp;b=c</string>",
  );
  expect(stdout).toContain("<key>SuccessfulExit</key>\n    <false/>");
  expect(stdout).toMatch(
    /^ {2}launchctl bootout gui\/\d+\/local.lmserver\n {2}launchctl bootstrap gui\/\d+ /m,
  );
});

test("a service that cannot start for now is started again, but not one that never can", async () => {
  const { stdout } = await dryRun("/", { HOME: "/h" }, "--manager", "systemd");
  const [seconds = ""] = linesOf(stdout, "RestartSec=");
  // systemd gives up after five starts in ten seconds.
  expect(Number(seconds.slice("RestartSec=".length)) * 5).toBeGreaterThan(10);
  expect(linesOf(stdout, "RestartPreventExitStatus=")).toEqual(["RestartPreventExitStatus=2 5"]);
});

test("a service finds models and the hub as a start here would, and its file holds no secret", async () => {
  const kept = {
    HF_HOME: "/srv/hf home",
    HF_HUB_CACHE: "/srv/hub",
    HUGGINGFACE_HUB_CACHE: "/srv/hub2",
    LLAMA_CACHE: "/srv/llama",
    OLLAMA_MODELS: "/srv/ollama",
    HF_ENDPOINT: "https://hub.example",
    https_proxy: "http://proxy.example:3128",
    NO_PROXY: "a.example,b.example",
  };
  const env = {
    HOME: "/h",
    ...kept,
    HF_TOKEN: "hf_secret",
    HTTP_PROXY: "http://me:secret@proxy.example",
  };
  const { stdout, stderr } = await dryRun("/", env, "--manager", "systemd");
  const shown = Object.entries(kept).map(([name, value]) =>
    value.includes(" ") ? `Environment="${name}=${value}"` : `Environment=${name}=${value}`,
  );
  expect(linesOf(stdout, "Environment=")).toEqual(shown);
  for (const name of ["HF_TOKEN", "HTTP_PROXY"])
    expect(stderr).toMatch(new RegExp(`^${name} holds a secret.* systemctl --user edit`, "m"));
  expect(stdout + stderr).not.toContain("secret@");
  expect(stdout + stderr).not.toContain("hf_secret");
});

test("a second install restarts what runs, and tells how to remove it", async () => {
  if (executableCommand().length > 1) return console.log("only an executable can be a service");
  using folder = tempFolder();
  const log = join(folder.path, "log");
  const manager = join(folder.path, "bin/systemctl");
  mkdirSync(join(folder.path, "bin"));
  writeFileSync(manager, `#!/bin/sh\necho "$@" >> '${log}'\n`, { mode: 0o755 });
  const env = {
    HOME: join(folder.path, "my home"),
    PATH: `${join(folder.path, "bin")}:/bin:/usr/bin`,
  };
  const words = ["install-service", "--manager", "systemd", "--"];
  for (const port of ["1", "2"]) {
    writeFileSync(log, "");
    const { code, stderr } = await runCommand([...words, "--port", port], env);
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining("systemctl --user disable --now lmserver.service && rm '"),
    ]);
    expect(readFileSync(log, "utf8")).toBe(
      "--user daemon-reload\n--user enable lmserver.service\n--user restart lmserver.service\n",
    );
  }
});

test("an agent is started anew once the one that ran has ended", async () => {
  if (executableCommand().length > 1) return console.log("only an executable can be a service");
  using folder = tempFolder();
  const log = join(folder.path, "log");
  mkdirSync(join(folder.path, "bin"));
  // The first two times the old one still ends.
  const script = `echo $1 >> '${log}'\n[ $(wc -l < '${log}') -lt 2 ] || [ $(wc -l < '${log}') -gt 3 ]\n`;
  writeFileSync(join(folder.path, "bin/launchctl"), `#!/bin/sh\n${script}`, { mode: 0o755 });
  const env = { HOME: folder.path, PATH: `${join(folder.path, "bin")}:/bin:/usr/bin` };
  const { code } = await runCommand(["install-service", "--manager", "launchd"], env);
  expect([code, readFileSync(log, "utf8")]).toEqual([
    0,
    "bootout\nbootstrap\nbootstrap\nbootstrap\n",
  ]);
});

test("install-service refuses flags that the server would refuse", async () => {
  using folder = tempFolder();
  const words = ["install-service", "--dry-run", "--", "--prot", "1"];
  const { code, stderr } = await runCommand(words, { HOME: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringContaining("did you mean --port?")]);
});

const linesOf = (unit: string, start: string): string[] =>
  unit.split("\n").filter((line) => line.startsWith(start));

/** A dry run from within a folder. */
async function dryRun(cwd: string, env: Record<string, string>, ...words: readonly string[]) {
  const child = Bun.spawn([...executableCommand(), "install-service", "--dry-run", ...words], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdin: Buffer.from(""),
    stdout: "pipe",
    stderr: "pipe",
  });
  return resultOf(child);
}

test("a service finds what the person who installs it means by relative paths", async () => {
  using folder = tempFolder();
  const flags = ["--models-dir", "m", "--state-dir=s", "--api-key-file", "../key", "--port", "1"];
  const env = { HOME: "/h", LMSERVER_CACHE_DIR: "c", LMSERVER_CHAT_TEMPLATE: "t=%.jinja" };
  const { code, stdout } = await dryRun(folder.path, env, "--manager", "systemd", "--", ...flags);
  const here = folder.path;
  expect(code).toBe(0);
  expect(stdout).toContain(
    ` serve --models-dir ${here}/m --state-dir=${here}/s --api-key-file ${join(here, "../key")} --port 1\n`,
  );
  const lines = stdout.split("\n");
  expect(lines).toContain(`Environment=LMSERVER_CACHE_DIR=${here}/c`);
  expect(lines).toContain(`Environment=LMSERVER_CHAT_TEMPLATE=${here}/t=%%.jinja`);
  for (const name of ["m", "s", "c"]) expect(lines).toContain(`ReadWritePaths=${here}/${name}`);
});

test("a service keeps the variables and the configuration file that a start here would heed", async () => {
  using folder = tempFolder();
  mkdirSync(join(folder.path, "conf/lmserver"), { recursive: true });
  const file = join(folder.path, "conf/lmserver/config.json");
  writeFileSync(file, JSON.stringify({ stateDir: "/srv/state", modelsDir: ["/srv/m"] }));
  const env = {
    HOME: "/h",
    XDG_CONFIG_HOME: join(folder.path, "conf"),
    XDG_CACHE_HOME: "/x/cache",
    LMSERVER_PORT: "8080",
    LMSERVER_NO_DEMO: "1",
    LMSERVER_PARALLEL: "2",
    LMSERVER_ALIAS: 'a "b"=c',
    LM_API_TOKEN: "secret",
  };
  const flags = ["--manager", "systemd", "--", "--parallel", "3"];
  const unit = (await dryRun(folder.path, env, ...flags)).stdout;
  expect(linesOf(unit, "Environment=")).toEqual([
    `Environment=XDG_CONFIG_HOME=${env.XDG_CONFIG_HOME}`,
    "Environment=XDG_CACHE_HOME=/x/cache",
    "Environment=LMSERVER_PORT=8080",
    "Environment=LMSERVER_NO_DEMO=1",
    'Environment="LMSERVER_ALIAS=a \\"b\\"=c"',
  ]);
  expect(linesOf(unit, "ReadWritePaths=")).toEqual(
    ["/srv/state", "/x/cache/lmserver", "/srv/m"].map((path) => `ReadWritePaths=${path}`),
  );
  const plist = (await dryRun(folder.path, env, "--manager", "launchd")).stdout;
  expect(plist).toContain("<key>LMSERVER_PORT</key>\n    <string>8080</string>");
  writeFileSync(file, JSON.stringify({ stateDir: "state" }));
  const relative = await dryRun(folder.path, env);
  expect([relative.code, relative.stderr]).toEqual([2, expect.stringContaining("absolute path")]);
});

test.each([
  ["a key of the environment", { LMSERVER_API_KEY: "secret" }, [], "--api-key-file"],
  ["a word that is no flag", {}, ["now"], '"now" is not a flag'],
  ["a relative path of a preset", {}, ["--preset", 'a={"chatTemplate":"t"}'], "absolute path"],
])("a service is not installed with %s", async (_name, env, words, hint) => {
  using folder = tempFolder();
  const { code, stdout, stderr } = await dryRun(
    folder.path,
    { HOME: "/h", ...env },
    "--",
    ...words,
  );
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(hint);
  expect(stderr).not.toContain("secret");
});

test("the command of a unit starts a server, in another folder and with its variables only", async () => {
  if (executableCommand().length > 1) return console.log("only an executable can be a service");
  using folder = tempFolder();
  mkdirSync(join(folder.path, "m"));
  const env = { HOME: folder.path, LMSERVER_STATE_DIR: "s", LMSERVER_PORT: "0" };
  const flags = ["--manager", "systemd", "--json", "--", "--models-dir", "m", "--json-ready"];
  const { text } = JSON.parse((await dryRun(folder.path, env, ...flags)).stdout) as {
    text: string;
  };
  const valueOf = (line: string): string => line.slice(line.indexOf("=") + 1);
  const variables = linesOf(text, "Environment=").map((line) => valueOf(line).split("="));
  const child = Bun.spawn(
    linesOf(text, "ExecStart=").flatMap((line) => valueOf(line).split(" ")),
    {
      cwd: "/",
      env: { HOME: folder.path, ...(Object.fromEntries(variables) as Record<string, string>) },
      stdout: "pipe",
      stderr: "ignore",
    },
  );
  const first = new TextDecoder().decode((await child.stdout.getReader().read()).value);
  expect(JSON.parse(first)).toMatchObject({ event: "ready" });
  expect(existsSync(join(folder.path, "s"))).toBe(true);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});
