import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, configPath, resolveFolders } from "../../../src/config/paths.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const NONE = { modelsDirs: [], stateDir: null, cacheDir: null };

test("folders follow HOME and the XDG variables", () => {
  expect(resolveFolders(NONE, { HOME: "/h" })).toEqual({
    folders: {
      modelsDirs: ["/h/.lmserver/models"],
      lmStudioDir: null,
      stores: [],
      stateDir: "/h/.local/state/lmserver",
      cacheDir: "/h/.cache/lmserver",
      isDefaultModelsDir: true,
    },
  });
  const xdg = { HOME: "/h", XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "relative" };
  expect(resolveFolders(NONE, xdg)).toMatchObject({
    folders: { stateDir: "/s/lmserver", cacheDir: "/h/.cache/lmserver" },
  });
});

test("without HOME each folder that was not named is a problem with its flag", () => {
  const problem = (flag: string) => `--${flag} must be given, because HOME is not set`;
  expect(resolveFolders(NONE, {})).toEqual({
    problems: [problem("models-dir"), problem("state-dir")],
  });
  expect(resolveFolders({ ...NONE, stateDir: "/s" }, {})).toEqual({
    problems: [problem("models-dir")],
  });
});

test("without HOME the cache lies in the state folder", () => {
  const named = { ...NONE, modelsDirs: ["/m"], stateDir: "/s" };
  expect(resolveFolders(named, {})).toMatchObject({ folders: { cacheDir: "/s/cache" } });
  expect(cacheFolder(NONE, { XDG_STATE_HOME: "/x" })).toBe("/x/lmserver/cache");
  expect(cacheFolder(named, { XDG_CACHE_HOME: "/c" })).toBe("/c/lmserver");
  expect(cacheFolder(NONE, {})).toBeNull();
});

test("named folders need no HOME and become absolute", () => {
  const found = resolveFolders({ modelsDirs: ["m"], stateDir: "/s", cacheDir: "/c" }, { HOME: "" });
  expect(found).toMatchObject({
    folders: { modelsDirs: [join(process.cwd(), "m")], stateDir: "/s", lmStudioDir: null },
  });
});

test("LM Studio's models are found, also where its pointer file says", () => {
  using home = tempFolder();
  const env = { HOME: home.path };
  mkdirSync(join(home.path, ".lmstudio/models"), { recursive: true });
  expect(resolveFolders(NONE, env)).toMatchObject({
    folders: { lmStudioDir: join(home.path, ".lmstudio/models") },
  });
  mkdirSync(join(home.path, "moved/models"), { recursive: true });
  writeFileSync(join(home.path, ".lmstudio-home-pointer"), `${home.path}/moved\n`);
  expect(resolveFolders(NONE, env)).toMatchObject({
    folders: { lmStudioDir: join(home.path, "moved/models") },
  });
  expect(resolveFolders({ ...NONE, modelsDirs: ["/m"] }, env)).toMatchObject({
    folders: { lmStudioDir: null, modelsDirs: ["/m"] },
  });
});

test("the configuration file has a default place only with a home", () => {
  expect(configPath({ HOME: "/h" })).toBe("/h/.config/lmserver/config.json");
  expect(configPath({ XDG_CONFIG_HOME: "/x" })).toBe("/x/lmserver/config.json");
  expect(configPath({})).toBeNull();
});
