import { expect, spyOn, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import * as os from "node:os";
import { dirname, join } from "node:path";
import { importModel, type ImportMode } from "../../../src/catalog/import-model.ts";
import { planRemoval, removeModel } from "../../../src/catalog/remove-model.ts";
import { addModel, catalogOf } from "../../support/catalog-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it worked",
    (error: Error) => error.message,
  );

interface ModeCase {
  mode: ImportMode;
  isSourceKept: boolean;
  check: (source: string, target: string) => boolean;
}

const modes: ModeCase[] = [
  { mode: "move", isSourceKept: false, check: (_, target) => statSync(target).nlink === 1 },
  {
    mode: "copy",
    isSourceKept: true,
    check: (source, target) => statSync(source).ino !== statSync(target).ino,
  },
  {
    mode: "hardlink",
    isSourceKept: true,
    check: (source, target) => statSync(source).ino === statSync(target).ino,
  },
  {
    mode: "symlink",
    isSourceKept: true,
    check: (source, target) => readlinkSync(target) === source,
  },
];

test.each(modes)("import by $mode", async ({ mode, isSourceKept, check }) => {
  using folder = tempFolder();
  const source = addModel(folder.path, "elsewhere/tiny-Q8_0.gguf");
  const bytes = readFileSync(source);
  const modelsDir = join(folder.path, "models");
  const options = { mode, userRepo: "me/tiny", modelsDir, isDryRun: false };
  const { path } = await importModel(source, options);
  expect(path).toBe(join(modelsDir, "me/tiny/tiny-Q8_0.gguf"));
  expect(readFileSync(path)).toEqual(bytes);
  expect(existsSync(source)).toBe(isSourceKept);
  expect(check(source, path)).toBe(true);
  expect(readdirSync(join(modelsDir, "me/tiny"))).toEqual(["tiny-Q8_0.gguf"]);
  const [model] = await catalogOf(modelsDir).catalog.list();
  expect(model?.key).toBe("tiny");
});

test("import names the repository after the file when nobody else does", async () => {
  using folder = tempFolder();
  const source = addModel(folder.path, "tiny-Q8_0.gguf");
  const options = { mode: "move", userRepo: null, modelsDir: folder.path, isDryRun: true } as const;
  const { path } = await importModel(source, options);
  expect(path).toMatch(/[\\/]tiny[\\/]tiny-Q8_0\.gguf$/);
  expect(existsSync(source)).toBe(true);
  expect(existsSync(path)).toBe(false);
});

test.each([
  ["my model (x)-Q4_K_M.gguf", "my-model-x"],
  ["模型 7B.gguf", "7B"],
  ["(模型).gguf", "model"],
])("import takes %j, which would be listed where it is, into %s", async (fileName, repository) => {
  using folder = tempFolder();
  const source = addModel(folder.path, fileName);
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo: null, modelsDir, isDryRun: false } as const;
  const { path } = await importModel(source, options);
  expect(path).toEndWith(join("/", repository, fileName));
  expect((await catalogOf(modelsDir).catalog.list()).map((model) => model.path)).toEqual([path]);
});

test("import refuses a file that clients could not tell from one that is there, with the remedy", async () => {
  using folder = tempFolder();
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo: null, modelsDir, isDryRun: false } as const;
  const { path } = await importModel(addModel(folder.path, "a@b.gguf"), options);
  const second = addModel(folder.path, "a&b.gguf");
  expect(await failureOf(importModel(second, options))).toEndWith(
    "a@b.gguf has the same name for clients: give another --user-repo <user/repo>.",
  );
  const elsewhere = await importModel(second, { ...options, userRepo: "me/other" });
  // Another quantisation lies beside the first one.
  const third = await importModel(addModel(folder.path, "a@b-Q8_0.gguf"), options);
  expect(dirname(third.path)).toBe(dirname(path));
  const listed = (await catalogOf(modelsDir).catalog.list()).map((model) => model.path);
  expect(listed.sort()).toEqual([path, elsewhere.path, third.path].sort());
});

test("import refuses a projector, and a model that is called like one", async () => {
  using folder = tempFolder();
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo: null, modelsDir, isDryRun: false } as const;
  const projector = addModel(folder.path, "vision.gguf", { architecture: "clip" });
  expect(await failureOf(importModel(projector, options))).toContain("folder of its model");
  const model = addModel(folder.path, "tiny-mmproj.gguf");
  expect(await failureOf(importModel(model, options))).toContain("rename it");
  expect(existsSync(modelsDir)).toBe(false);
});

test("import refuses a hidden file, and a user no folder can be named after with the remedy", async () => {
  using folder = tempFolder();
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo: null, modelsDir, isDryRun: true } as const;
  const hidden = addModel(folder.path, ".tiny.gguf");
  expect(await failureOf(importModel(hidden, options))).toContain("rename it");
  const source = addModel(folder.path, "tiny.gguf");
  const named = spyOn(os, "userInfo").mockReturnValue({ ...os.userInfo(), username: "AD\\me" });
  try {
    const said = await failureOf(importModel(source, options));
    expect(said).toBe(
      "AD\\me: no folder can be named after this user: give --user-repo <user/repo>.",
    );
  } finally {
    named.mockRestore();
  }
});

test("import brings every shard, or none", async () => {
  using folder = tempFolder();
  const first = addModel(folder.path, "a/m-00001-of-00002.gguf");
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo: "a/m", modelsDir, isDryRun: false } as const;
  expect(await failureOf(importModel(first, options))).toContain("no such file");
  expect(existsSync(first)).toBe(true);
  addModel(folder.path, "a/m-00002-of-00002.gguf");
  expect((await importModel(first, options)).files).toHaveLength(2);
  expect(readdirSync(join(modelsDir, "a/m"))).toHaveLength(2);
});

const badRepos = [
  "../x",
  "a/../b",
  "/etc/x",
  "a",
  "a/b/c",
  "a\\..\\b/c",
  ".ssh/x",
  "a/\0",
  "C:x/y",
];

test.each(badRepos)("T-E1: import refuses to go to %j", async (userRepo) => {
  using folder = tempFolder();
  const source = addModel(folder.path, "tiny.gguf");
  const modelsDir = join(folder.path, "models");
  const options = { mode: "move", userRepo, modelsDir, isDryRun: false } as const;
  expect(await failureOf(importModel(source, options))).toContain("letters, digits");
  expect(readdirSync(folder.path)).toEqual(["tiny.gguf"]);
});

test("import refuses what is no model, what is there already, and links to be moved", async () => {
  using folder = tempFolder();
  const source = addModel(folder.path, "tiny.gguf");
  const modelsDir = join(folder.path, "models");
  const options = { mode: "copy", userRepo: "a/b", modelsDir, isDryRun: false } as const;
  const junk = join(folder.path, "junk.gguf");
  writeFileSync(junk, "junk");
  expect(await failureOf(importModel(junk, options))).not.toBe("it worked");
  await importModel(source, options);
  expect(await failureOf(importModel(source, options))).toContain("exists already");
  const link = join(folder.path, "link.gguf");
  symlinkSync(source, link);
  expect(await failureOf(importModel(link, { ...options, mode: "move" }))).toContain("a link");
});

test("T-E1: import does not follow a folder of the models folder that leads elsewhere", async () => {
  using folder = tempFolder();
  const source = addModel(folder.path, "tiny.gguf");
  const modelsDir = join(folder.path, "models");
  mkdirSync(join(folder.path, "victim"));
  mkdirSync(modelsDir);
  symlinkSync(join(folder.path, "victim"), join(modelsDir, "a"));
  const options = { mode: "copy", userRepo: "a/b", modelsDir, isDryRun: false } as const;
  expect(await failureOf(importModel(source, options))).toContain("not a folder");
  expect(readdirSync(join(folder.path, "victim"))).toEqual([]);
});

test("removal takes the model, its template and its projector, and the empty folders", async () => {
  using folder = tempFolder();
  const path = addModel(folder.path, "me/tiny/tiny-Q8_0.gguf");
  addModel(folder.path, "me/other/other.gguf");
  writeFileSync(join(path, "../tiny-Q8_0.jinja"), "{{ messages }}");
  writeFileSync(join(path, "../mmproj-F16.gguf"), "x");
  const { catalog } = catalogOf(folder.path);
  const model = (await catalog.find("tiny"))!;
  const plan = await planRemoval(model, [folder.path]);
  expect(existsSync(path)).toBe(true);
  expect(await removeModel(model, [folder.path])).toEqual(plan);
  expect(plan.files).toHaveLength(3);
  expect(readdirSync(join(folder.path, "me"))).toEqual(["other"]);
});

test("removal leaves a neighbour its projector, and a link's target where it is", async () => {
  using folder = tempFolder();
  const real = addModel(folder.path, "real.gguf");
  const modelsDir = join(folder.path, "models");
  addModel(modelsDir, "me/tiny/tiny-Q4_0.gguf");
  symlinkSync(real, join(modelsDir, "me/tiny/tiny-Q8_0.gguf"));
  writeFileSync(join(modelsDir, "me/tiny/mmproj-F16.gguf"), "x");
  const model = (await catalogOf(modelsDir).catalog.find("tiny@q8_0"))!;
  expect((await removeModel(model, [modelsDir])).freedBytes).toBe(0);
  expect(lstatSync(real).isFile()).toBe(true);
  expect(readdirSync(join(modelsDir, "me/tiny")).sort()).toEqual([
    "mmproj-F16.gguf",
    "tiny-Q4_0.gguf",
  ]);
});

test("removal never touches other programs' models, the demo, or files behind a linked folder", async () => {
  using folder = tempFolder();
  addModel(folder.path, "elsewhere/tiny.gguf");
  const modelsDir = join(folder.path, "models");
  mkdirSync(modelsDir);
  symlinkSync(join(folder.path, "elsewhere"), join(modelsDir, "linked"));
  const model = (await catalogOf(modelsDir).catalog.find("tiny"))!;
  expect(await failureOf(removeModel(model, [modelsDir]))).toContain("models folder");
  expect(await failureOf(removeModel({ ...model, source: "lm-studio" }, [modelsDir]))).toContain(
    "another program",
  );
  expect(await failureOf(removeModel({ ...model, source: "demo" }, [modelsDir]))).toContain(
    "built in",
  );
  expect(existsSync(join(folder.path, "elsewhere/tiny.gguf"))).toBe(true);
});

const OTHER_DISK = "/dev/shm";
const hasOtherDisk =
  existsSync(OTHER_DISK) && statSync(OTHER_DISK).dev !== statSync(os.tmpdir()).dev;
if (!hasOtherDisk)
  console.warn(`${OTHER_DISK} is no other disk: an import across disks is not tested`);

test.skipIf(!hasOtherDisk)("an import that fails leaves no folder of its own behind", async () => {
  using folder = tempFolder();
  const source = addModel(folder.path, "tiny.gguf");
  const modelsDir = mkdtempSync(join(OTHER_DISK, "lmserver-test-"));
  try {
    mkdirSync(join(modelsDir, "kept", "here"), { recursive: true });
    const options = { modelsDir, mode: "hardlink", isDryRun: false } as const;
    for (const userRepo of ["new/one", "kept/other"]) {
      const failure = await failureOf(importModel(source, { ...options, userRepo }));
      expect(failure).toContain("another disk");
    }
    expect(readdirSync(modelsDir)).toEqual(["kept"]);
    expect(readdirSync(join(modelsDir, "kept"))).toEqual(["here"]);
  } finally {
    rmSync(modelsDir, { recursive: true });
  }
});
