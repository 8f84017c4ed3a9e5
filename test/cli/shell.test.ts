import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executableCommand } from "../support/executable.ts";
import { runCommand } from "../support/run-command.ts";
import { tempFolder } from "../support/temp-folder.ts";

setDefaultTimeout(60_000);

const VERBS =
  "serve status stop ls ps get import rm load unload chat bench log token install-service completions doctor version help";

/** What bash would offer for the words of a command line, the last of them unfinished. */
function offered(script: string, ...words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  const ask = `source "$1"; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _lmserver; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = Bun.spawnSync(["bash", "-c", ask, "bash", script]);
  return stdout.toString().trim().split("\n");
}

test("help lists every verb with a sentence, and each explains itself", async () => {
  const { stdout } = await runCommand(["help"]);
  for (const verb of VERBS.split(" ")) {
    expect(stdout).toMatch(new RegExp(`^  ${verb} +[A-Z].{10,}$`, "m"));
    const text = await runCommand(["help", verb]);
    expect([text.code, text.stderr]).toEqual([0, ""]);
  }
  expect((await runCommand(["lod"])).stderr).toContain("Did you mean: lmserver load");
});

test("output that cannot be written is a failure in one sentence", async () => {
  if (!existsSync("/dev/full")) return console.log("there is no /dev/full here");
  const child = Bun.spawn([...executableCommand(), "version"], {
    stdin: "ignore",
    stdout: Bun.file("/dev/full"),
    stderr: "pipe",
  });
  expect(await child.exited).toBe(1);
  const said = await new Response(child.stderr).text();
  expect(said).toBe("error: The output cannot be written (ENOSPC).\n");
});

test("bash completes verbs, flags, values and sub-verbs", async () => {
  using folder = tempFolder();
  const { code, stdout } = await runCommand(["completions", "bash"]);
  expect(code).toBe(0);
  const script = join(folder.path, "lmserver.bash");
  writeFileSync(script, stdout);
  const parsed = Bun.spawnSync(["bash", "-n", script]);
  expect([parsed.exitCode, parsed.stderr.toString()]).toEqual([0, ""]);
  expect(offered(script, "lmserver", "")).toEqual(VERBS.split(" "));
  expect(offered(script, "lmserver", "un")).toEqual(["unload"]);
  expect(offered(script, "lmserver", "load", "--est")).toEqual(["--estimate-only"]);
  expect(offered(script, "lmserver", "load", "--gpu", "")).toEqual(["auto", "off", "max"]);
  expect(offered(script, "lmserver", "serve", "--no-ji")).toEqual(["--no-jit"]);
  expect(offered(script, "lmserver", "token", "c")).toEqual(["create"]);
  expect(offered(script, "lmserver", "help", "inst")).toEqual(["install-service"]);
});

test.each([
  ["zsh", ["zsh", "-n"], ["#compdef lmserver", "'chat:Talk with a model"]],
  ["fish", ["fish", "--no-execute"], ["complete -c lmserver -f", "-a chat -d 'Talk"]],
] as const)("%s gets every verb and flag", async (shell, check, parts) => {
  using folder = tempFolder();
  const { code, stdout } = await runCommand(["completions", shell]);
  expect(code).toBe(0);
  for (const part of [...parts, "system-prompt", "models-dir", "reasoning"])
    expect(stdout).toContain(part);
  const script = join(folder.path, "script");
  writeFileSync(script, stdout);
  if (Bun.which(check[0]) === null) {
    console.log(`${shell} is not installed: its script is only compared, not parsed`);
    return;
  }
  const parsed = Bun.spawnSync([...check, script]);
  expect([parsed.exitCode, parsed.stderr.toString()]).toEqual([0, ""]);
});

test("completions for no shell: exit 2", async () => {
  expect((await runCommand(["completions"])).code).toBe(2);
  expect((await runCommand(["completions", "tcsh"])).stderr).toContain("bash, zsh, fish");
});

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
  "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
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
  expect(stdout).toContain("systemctl --user enable --now lmserver.service");
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
  expect(stdout).toMatch(/launchctl bootstrap gui\/\d+ /);
});

test("install-service refuses flags that the server would refuse", async () => {
  using folder = tempFolder();
  const words = ["install-service", "--dry-run", "--", "--prot", "1"];
  const { code, stderr } = await runCommand(words, { HOME: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringContaining("did you mean --port?")]);
});
