import { isAbsolute, join } from "node:path";
import type { Terminal } from "./command.ts";
import { LAUNCHD_LABEL, launchdPlist, systemdUnit, type ServiceFacts } from "./service-files.ts";

export interface ServiceCommand {
  words: readonly string[];
  /** It undoes what may not be there. */
  mayFail?: boolean;
  /** Where something was undone before, its end may be waited for: the command is tried until it works. */
  followsEnd?: boolean;
}

/** What a service manager is given, and told. */
export interface Service {
  /** Where its file belongs. */
  path: string;
  text: string;
  /** Start it, also in place of one that runs with an older file. */
  commands: readonly ServiceCommand[];
  /** End it and remove it. */
  removal: readonly ServiceCommand[];
  /** How the service is given a variable that its file may not hold. */
  variableCommand: string;
}

const UNIT = "lmserver.service";

export function systemdService(facts: ServiceFacts, env: Terminal["env"]): Service {
  const base = env["XDG_CONFIG_HOME"] ?? "";
  const config = isAbsolute(base) ? base : join(facts.home, ".config");
  const path = join(config, "systemd/user", UNIT);
  const systemctl = (...words: readonly string[]): ServiceCommand => ({
    words: ["systemctl", "--user", ...words],
  });
  return {
    path,
    text: systemdUnit(facts),
    // `enable --now` would leave a running one as it is.
    commands: [systemctl("daemon-reload"), systemctl("enable", UNIT), systemctl("restart", UNIT)],
    removal: [
      systemctl("disable", "--now", UNIT),
      { words: ["rm", path] },
      systemctl("daemon-reload"),
    ],
    variableCommand: `systemctl --user edit ${UNIT}`,
  };
}

export function launchdService(facts: ServiceFacts): Service {
  const path = join(facts.home, `Library/LaunchAgents/${LAUNCHD_LABEL}.plist`);
  const domain = `gui/${process.getuid?.() ?? 0}`;
  const bootout = ["launchctl", "bootout", `${domain}/${LAUNCHD_LABEL}`];
  return {
    path,
    text: launchdPlist(facts),
    commands: [
      { words: bootout, mayFail: true },
      // bootout may return while the server still ends its requests.
      { words: ["launchctl", "bootstrap", domain, path], followsEnd: true },
    ],
    removal: [{ words: bootout }, { words: ["rm", path] }],
    variableCommand: "launchctl setenv",
  };
}

/** As it is typed in a shell. */
export const commandText = ({ words }: ServiceCommand): string =>
  words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
