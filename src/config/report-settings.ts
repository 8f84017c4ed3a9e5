import * as words from "./word-settings.ts";

/** What the server tells those who run it. */
export const REPORT_SETTINGS = {
  metrics: words.flagSetting({ flag: "metrics", fallback: true, help: "Answer GET /metrics" }),
  logLevel: words.choiceSetting({
    flag: "log-level",
    words: ["debug", "info", "warn", "error", "none"],
    fallback: "info",
    help: "Least important messages to log",
  }),
  logFormat: words.choiceSetting({
    flag: "log-format",
    words: ["text", "json"],
    fallback: null,
    help: "Form of log lines (default: text on a terminal, json elsewhere)",
  }),
  logContent: words.flagSetting({
    flag: "log-content",
    fallback: false,
    help: "Log prompts and answers too",
  }),
  jsonReady: words.flagSetting({
    flag: "json-ready",
    fallback: false,
    help: "Print one line of JSON on stdout once the server accepts connections",
  }),
} as const;
