import { delimiter } from "node:path";
import * as words from "./word-settings.ts";

/** Where models, libraries and state lie, and which models are listed. */
export const FOLDER_SETTINGS = {
  modelsDirs: words.listSetting({
    flag: "models-dir",
    argument: "<folder>",
    envSeparator: delimiter,
    help: "Folder with models, may be repeated (default ~/.lmserver/models and LM Studio's)",
  }),
  adopt: words.openFlagSetting({
    flag: "adopt",
    help: "List models of LM Studio, Ollama, llama.cpp and the Hugging Face cache where they are (default: unless --models-dir is given)",
  }),
  cacheDir: words.textSetting({
    flag: "cache-dir",
    argument: "<folder>",
    help: "Where the carried libraries are extracted (default $XDG_CACHE_HOME/lmserver; without HOME, cache in the state folder)",
  }),
  stateDir: words.textSetting({
    flag: "state-dir",
    argument: "<folder>",
    help: "Where the server keeps its lock and state (default $XDG_STATE_HOME/lmserver)",
  }),
  demo: words.flagSetting({ flag: "demo", fallback: true, help: "List the built-in demo model" }),
} as const;
