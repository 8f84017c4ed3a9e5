import * as kinds from "./setting.ts";

/** What the server tells those who run it. */
export const REPORT_SETTINGS = {
  metrics: kinds.flagSetting({ flag: "metrics", fallback: true, help: "Answer GET /metrics" }),
  logLevel: kinds.choiceSetting({
    flag: "log-level",
    words: ["debug", "info", "warn", "error", "none"],
    fallback: "info",
    help: "Least important messages to log",
  }),
  logFormat: kinds.choiceSetting({
    flag: "log-format",
    words: ["text", "json"],
    fallback: null,
    help: "Form of log lines (default: text on a terminal, json elsewhere)",
  }),
  logContent: kinds.flagSetting({
    flag: "log-content",
    fallback: false,
    help: "Log prompts and answers too",
  }),
  jsonReady: kinds.flagSetting({
    flag: "json-ready",
    fallback: false,
    help: "Print one line of JSON on stdout once the server accepts connections",
  }),
} as const;
