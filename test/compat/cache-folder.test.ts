import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { sourceCommand } from "../support/executable.ts";
import { type CommandResult, resultOf } from "../support/run-command.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Where the libraries lie, which become part of the program: no other user may have a hand in them. */

const BUILT = resolve(import.meta.dir, "../../dist/lmserver");
/** Two users of the machine beside root. Nobody need have these numbers. */
const US = 65_531;
const THEM = 65_532;

let root: string;
let executable: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lmserver-cache-"));
  chmodSync(root, 0o755);
  executable = join(root, "lmserver");
  copyFileSync(BUILT, executable);
  chmodSync(executable, 0o755);
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Whether this process may become others; the reason against is said aloud. */
const hasUsers = ((): boolean => {
  const isPossible =
    process.getuid?.() === 0 &&
    Bun.which("setpriv") !== null &&
    Bun.spawnSync(["setpriv", ...become(US), "true"]).success;
  if (!isPossible) console.warn("not root, or no setpriv: T-L5 is not tested as two users");
  return isPossible;
})();

function become(user: number): string[] {
  return [`--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--no-new-privs"];
}

interface Place {
  /** Ours, private: state, models and what else a run needs. */
  home: string;
  /** What --cache-dir names. Does not exist yet. */
  cacheDir: string;
  /** A folder of the other user, closed to us. */
  theirs: string;
}

let places = 0;

function newPlace(): Place {
  const place = join(root, `place-${(places += 1)}`);
  mkdirSync(place);
  const [home, theirs] = [
    ownedFolder(join(place, "home"), US, 0o700),
    ownedFolder(join(place, "theirs"), THEM, 0o700),
  ];
  ownedFolder(join(home, "models"), US, 0o700);
  return { home, cacheDir: join(home, "cache"), theirs };
}

function ownedFolder(path: string, user: number, mode: number): string {
  mkdirSync(path);
  chmodSync(path, mode);
  chownSync(path, user, user);
  return path;
}

/** Runs a verb of the executable as an ordinary user. */
async function runAsUs(verb: string, { home, cacheDir }: Place): Promise<CommandResult> {
  const folders = ["--cache-dir", cacheDir, "--state-dir", join(home, "state")];
  const words = [verb, "--port", "0", ...folders, "--models-dir", join(home, "models")];
  const child = Bun.spawn(["setpriv", ...become(US), executable, ...words], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home },
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return resultOf(child);
}

const carried = ((): ReadonlyMap<string, string> => {
  const { stdout } = Bun.spawnSync([BUILT, "version", "--json"]);
  const { libraries } = JSON.parse(stdout.toString()) as { libraries: Record<string, string> };
  return new Map(Object.entries(libraries));
})();

/** Every file of the one engine folder is one that is carried, byte by byte, and `user`'s own. */
function expectWhole(cacheDir: string, user: number): void {
  const names = readdirSync(cacheDir).filter((name) => name.startsWith("engine-"));
  const [name] = names.filter((each) => !each.endsWith(".old"));
  const folder = join(cacheDir, name ?? "none");
  const inside = readdirSync(folder, { recursive: true }).map(String);
  const files = inside.filter((path) => lstatSync(join(folder, path)).isFile());
  for (const path of inside) {
    const facts = lstatSync(join(folder, path));
    expect(`${path} ${facts.uid} ${facts.isSymbolicLink()}`).toBe(`${path} ${user} false`);
    expect(facts.mode & 0o077).toBe(0);
  }
  for (const path of files) {
    const digest = new Bun.CryptoHasher("sha256").update(readFileSync(join(folder, path)));
    expect(`${path} ${digest.digest("hex")}`).toBe(`${path} ${carried.get(path)}`);
  }
  expect(files.some((path) => path.includes("libllama"))).toBe(true);
}

/** Makes what another user left where our cache folder was to be. */
type Refused = [name: string, make: (place: Place) => void, reason: RegExp];

const refused: Refused[] = [
  [
    "a folder of another user",
    ({ cacheDir }) => ownedFolder(cacheDir, THEM, 0o755),
    /belongs to another user \(uid 65532\)/,
  ],
  [
    "a folder of another user that everybody may write to",
    ({ cacheDir }) => ownedFolder(cacheDir, THEM, 0o777),
    /belongs to another user \(uid 65532\)/,
  ],
  ["root's folder", ({ cacheDir }) => ownedFolder(cacheDir, 0, 0o755), /another user \(uid 0\)/],
  [
    "a link to another user's folder",
    ({ cacheDir, theirs }) => {
      chmodSync(theirs, 0o777);
      symlinkSync(theirs, cacheDir);
    },
    /a link or a file/,
  ],
  [
    "a link to a folder of ours",
    ({ cacheDir, home }) => symlinkSync(ownedFolder(join(home, "real"), US, 0o700), cacheDir),
    /a link or a file/,
  ],
  [
    "a folder of ours that everybody may write to",
    ({ cacheDir }) => ownedFolder(cacheDir, US, 0o777),
    /other users may write to it/,
  ],
  [
    "a folder of ours that a group may write to",
    ({ cacheDir }) => ownedFolder(cacheDir, US, 0o770),
    /other users may write to it/,
  ],
  ["a file", ({ cacheDir }) => writeFileSync(cacheDir, ""), /cannot be created|a link or a file/],
];

test.if(hasUsers).each(refused)(
  "T-L5: in place of the cache folder, %s is refused with code 5, and nothing is written there",
  async (_name, make, reason) => {
    const place = newPlace();
    make(place);
    const before = treeOf(dirname(place.home));
    const { code, stderr } = await runAsUs("serve", place);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain("--cache-dir");
    expect(code).toBe(5);
    expect(treeOf(dirname(place.home))).toEqual(before);
  },
);

/** Every path below with its owner and rights; what a start leaves in the state folder aside. */
function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((path) => !path.startsWith("home/state"))
    .map((path) => {
      const { uid, mode } = lstatSync(join(folder, path));
      return `${path} ${uid} ${mode.toString(8)}`;
    })
    .toSorted();
}

interface Planted {
  place: Place;
  /** The folder of libraries below the cache folder, complete and ours so far. */
  libraries: string;
}

/** Things that are not ours alone, in a cache folder that is. Root puts them there, or a restored backup. */
const planted: [name: string, plant: (planted: Planted) => void][] = [
  ["a library with one byte more", ({ libraries }) => appendFileSync(llamaIn(libraries), "x")],
  ["another user's copy of a library", ({ libraries }) => giveAway(llamaIn(libraries))],
  [
    "a library that everybody may write to",
    ({ libraries }) => chmodSync(llamaIn(libraries), 0o777),
  ],
  [
    "a link to another user's library",
    ({ libraries, place }) => {
      chmodSync(place.theirs, 0o755);
      const path = llamaIn(libraries);
      const target = join(place.theirs, basename(path));
      renameSync(path, target);
      giveAway(target);
      symlinkSync(target, path);
    },
  ],
  [
    "a link to another user's folder of libraries",
    ({ libraries, place }) => {
      chmodSync(place.theirs, 0o755);
      const target = join(place.theirs, "lib");
      cpSync(libraries, target, { recursive: true });
      for (const name of readdirSync(target)) giveAway(join(target, name));
      giveAway(target);
      rmSync(libraries, { recursive: true });
      symlinkSync(target, libraries);
    },
  ],
  [
    "another user's folder of libraries, which we may not even delete",
    ({ libraries }) => {
      for (const name of readdirSync(libraries)) giveAway(join(libraries, name));
      for (const path of [libraries, dirname(libraries)]) giveAway(path);
    },
  ],
  [
    "a backend that nobody carries",
    ({ libraries }) => {
      const stray = join(libraries, "libggml-cpu-stray.so");
      writeFileSync(stray, "not even a library");
      chownSync(stray, US, US);
    },
  ],
  ["no library", ({ libraries }) => rmSync(llamaIn(libraries))],
];

/** Readable for us, with the right bytes: only the owner is wrong. */
function giveAway(path: string): void {
  chownSync(path, THEM, THEM);
  chmodSync(path, 0o555);
}

const llamaIn = (libraries: string): string =>
  join(libraries, readdirSync(libraries).find((name) => name.startsWith("libllama")) ?? "none");

test.if(hasUsers).each(planted)(
  "T-L5: in a cache folder of ours, %s is replaced before anything is loaded",
  async (_name, plant) => {
    const place = newPlace();
    expect((await runAsUs("doctor", place)).code).toBe(0);
    expectWhole(place.cacheDir, US);
    const [engine] = readdirSync(place.cacheDir);
    plant({ place, libraries: join(place.cacheDir, engine ?? "none", "lib") });
    expect(() => expectWhole(place.cacheDir, US)).toThrow();
    const { code, stderr } = await runAsUs("doctor", place);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expectWhole(place.cacheDir, US);
    // What could not be deleted is no trouble when it is to be swept away.
    for (const name of readdirSync(place.cacheDir)) {
      if (name.endsWith(".old")) utimesSync(join(place.cacheDir, name), new Date(0), new Date(0));
    }
    expect((await runAsUs("doctor", place)).code).toBe(0);
  },
);

test("T-L5: two servers that race on an empty cache folder both work, twenty times", async () => {
  for (let race = 1; race <= 20; race += 1) {
    const cacheDir = join(root, `race-${race}`);
    const servers = await Promise.all([startServer({ cacheDir }), startServer({ cacheDir })]);
    const stops = servers.map(async (server) => {
      await answer(server);
      return server.stop();
    });
    expect(await Promise.all(stops)).toEqual([0, 0]);
    // No temporary folder, no second set.
    expect(readdirSync(cacheDir).filter((name) => name.startsWith("engine-"))).toHaveLength(1);
    expectWhole(cacheDir, process.getuid?.() ?? 0);
    rmSync(cacheDir, { recursive: true });
  }
}, 120_000);

async function answer({ url }: TestServer): Promise<void> {
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", prompt: "The quick", max_tokens: 1 }),
  });
  expect(response.status).toBe(200);
}

test("of the CPU backend's variants, the one llama.cpp would choose among all is carried along", async () => {
  const variantOf = async (command: string[]): Promise<string> => {
    const folders = ["--cache-dir", join(root, "own"), "--state-dir", join(root, "state")];
    const words = ["doctor", "--json", "--port", "0", ...folders, "--models-dir", root];
    const child = Bun.spawn([...command, ...words], { stdout: "pipe", stderr: "ignore" });
    const text = await new Response(child.stdout).text();
    return (JSON.parse(text) as { system: { cpuVariant: string } }).system.cpuVariant;
  };
  // From the sources the libraries lie where the package manager put them, all of them.
  const chosen = await variantOf(sourceCommand());
  expect(chosen).toMatch(/^\w+$/);
  expect(await variantOf([executable])).toBe(chosen);
});
