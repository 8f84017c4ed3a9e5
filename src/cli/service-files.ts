/** What a service manager needs to know. */
export interface ServiceFacts {
  /** Absolute path of the executable. */
  executable: string;
  /** Words after `serve`. */
  args: readonly string[];
  /** Variables that the settings come from. Holds no key. */
  environment: Readonly<Record<string, string>>;
  /** Folders the server writes to. All absolute. */
  writable: readonly string[];
  home: string;
}

/**
 * A systemd user unit. Everything is read-only but the server's own folders. There is no
 * MemoryDenyWriteExecute, because JavaScript is compiled while it runs, and no PrivateDevices,
 * because GPUs are devices. The machine's own addresses are read through netlink. Sources:
 * systemd.exec(5), systemd.service(5).
 */
export function systemdUnit({ executable, args, environment, writable }: ServiceFacts): string {
  const command = [executable, "serve", ...args];
  // Only in commands is a dollar sign special.
  const words = command.map((word) => systemdWord(word.replaceAll("$", "$$$$"))).join(" ");
  const variables = Object.entries(environment)
    .map(([name, value]) => `Environment=${systemdWord(`${name}=${value}`)}\n`)
    .join("");
  return `[Unit]
Description=lmserver, an OpenAI-compatible server for local language models
After=network.target

[Service]
${variables}ExecStart=${words}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
# An address that is not there yet or a port in use mends itself. Six starts in ten seconds would be
# one too many for systemd.
RestartSec=5
# Wrong settings (2) and missing libraries (5) do not mend themselves.
RestartPreventExitStatus=2 5
TimeoutStopSec=30
KillMode=mixed
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
${writable.map((path) => `ReadWritePaths=${systemdWord(path)}`).join("\n")}
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
LimitCORE=0
UMask=0077

[Install]
WantedBy=default.target
`;
}

/** A launchd agent of the user. Source: launchd.plist(5). */
export function launchdPlist({ executable, args, environment, home }: ServiceFacts): string {
  const words = [executable, "serve", ...args].map((word) => `    <string>${xml(word)}</string>`);
  const variables = Object.entries(environment).map(
    ([name, value]) => `    <key>${xml(name)}</key>\n    <string>${xml(value)}</string>\n`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.join("\n")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${variables.join("")}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>30</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>${xml(`${home}/Library/Logs/lmserver.log`)}</string>
</dict>
</plist>
`;
}

export const LAUNCHD_LABEL = "local.lmserver";

/** One word of a unit file: quoted where needed, specifiers taken literally. */
function systemdWord(word: string): string {
  const plain = word.replaceAll("%", "%%");
  if (/^[\w@%+=:,./$-]+$/.test(plain)) return plain;
  const escaped = plain.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
  return `"${escaped}"`;
}

function xml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  return text.replaceAll(/[&<>]/g, (character) => names[character] ?? "");
}
