import * as numbers from "./number-settings.ts";
import * as words from "./word-settings.ts";

/** What is kept of computed prompts, and how prompts are rendered. */
export const PROMPT_SETTINGS = {
  prefixCacheDiskBytes: numbers.sizeSetting({
    flag: "prefix-cache-disk",
    fallback: 4 * 2 ** 30,
    minimum: 0,
    maximum: 2 ** 50,
    help: "Disk that computed prompts of all models may take, to outlive unload and restart; 0 = none, and what is there goes (default 4GiB)",
  }),
  prefixCacheMemoryBytes: numbers.sizeSetting({
    flag: "prefix-cache-memory",
    fallback: 512 * 2 ** 20,
    minimum: 0,
    maximum: 2 ** 50,
    help: "Memory for them per model where the disk takes none; 0 = none (default 512MiB)",
  }),
  sharedPrefixCache: words.flagSetting({
    flag: "shared-prefix-cache",
    fallback: false,
    help: "Share stored prefixes between API keys: faster, but times and cached_tokens tell what others sent",
  }),
  chatTemplate: words.textSetting({
    flag: "chat-template",
    argument: "<file>",
    help: "Use this Jinja template instead of the models' own",
  }),
} as const;
