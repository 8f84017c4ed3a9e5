import { KEY_SETTINGS, NETWORK_SETTINGS } from "./access-settings.ts";
import { FOLDER_SETTINGS } from "./folder-settings.ts";
import { LOAD_SETTINGS, RESIDENCY_SETTINGS } from "./load-settings.ts";
import { PROMPT_SETTINGS } from "./prompt-settings.ts";
import { REPORT_SETTINGS } from "./report-settings.ts";
import { REQUEST_SETTINGS } from "./request-settings.ts";
import * as words from "./word-settings.ts";

/** Every setting of `lmserver serve`, in the order of its help. */
export const SERVE_SETTINGS = {
  ...NETWORK_SETTINGS,
  ...FOLDER_SETTINGS,
  ...KEY_SETTINGS,
  ...RESIDENCY_SETTINGS,
  ...LOAD_SETTINGS,
  ...REQUEST_SETTINGS,
  ...PROMPT_SETTINGS,
  ...REPORT_SETTINGS,
} as const;

/** Where the configuration file lies; a flag or environment variable, not a key of the file. */
export const CONFIG_FILE = {
  ...words.textSetting({
    flag: "config",
    argument: "<file>",
    help: "Configuration file (default $XDG_CONFIG_HOME/lmserver/config.json)",
  }),
  fileKey: null,
};

/** A flag of every verb that prints: one JSON document instead of text. */
export const JSON_OUTPUT = words.flagSetting({
  flag: "json",
  fallback: false,
  flagOnly: true,
  help: "Print one JSON document",
});
