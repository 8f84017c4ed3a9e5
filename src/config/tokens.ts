import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { LmError } from "../lib/errors.ts";
import { randomId } from "../lib/id.ts";
import { systemCode } from "../lib/system-code.ts";

/** What a token may allow. Wire and command line use these words. */
export const TOKEN_PERMISSIONS = [
  "inference",
  "models:manage",
  "models:download",
  "mcp:ephemeral",
  "mcp:plugins",
  "server:admin",
] as const;
export type TokenPermission = (typeof TOKEN_PERMISSIONS)[number];

/** A token without its secret. */
export interface TokenInfo {
  /** Eight letters and digits; part of the token's text. */
  id: string;
  name: string;
  permissions: readonly TokenPermission[];
  /** Milliseconds since the epoch. */
  createdMs: number;
}

const Entry = Type.Object({
  id: Type.String({ pattern: "^[A-Za-z0-9]{8}$" }),
  name: Type.String(),
  permissions: Type.Array(Type.Enum(TOKEN_PERMISSIONS)),
  createdMs: Type.Number(),
  salt: Type.String({ pattern: "^[0-9a-f]{32}$" }),
  /** SHA-256 of salt and secret. The secret holds 119 random bits, so that a fast hash is enough. */
  hash: Type.String({ pattern: "^[0-9a-f]{64}$" }),
});
type Entry = Static<typeof Entry>;
const TokenList = Type.Object({ version: Type.Literal(1), tokens: Type.Array(Entry) });

const FILE = "tokens.json";
const TEXT = /^sk-lm-([A-Za-z0-9]{8}):([A-Za-z0-9]{20})$/;

/** Compared where no token has the id, so that both cases take the same time. */
const NOBODY: Pick<Entry, "salt" | "hash"> = { salt: "0".repeat(32), hash: "0".repeat(64) };

/**
 * Tokens of the server, in one file of the state folder that only its owner may read. Secrets are
 * kept as salted hashes. Changes by another process are seen at the next look.
 */
export class TokenFile {
  readonly #path: string;
  #entries: readonly Entry[] = [];
  /** Identity of the file that was read; null = none. */
  #stamp: string | null = null;

  /** @param stateDir Created with the first token. */
  constructor(stateDir: string) {
    this.#path = join(stateDir, FILE);
  }

  /**
   * Oldest first.
   * @throws LmError invalid_file when the file holds something else.
   */
  list(): readonly TokenInfo[] {
    return this.#read().map(toInfo);
  }

  /**
   * Adds a token.
   * @returns Its text, which cannot be shown again: `sk-lm-`, the id, `:`, the secret.
   * @throws LmError invalid_file.
   */
  create(request: { name: string; permissions: readonly TokenPermission[]; nowMs: number }): {
    token: TokenInfo;
    text: string;
  } {
    const secret = randomId("", 20);
    const salt = randomBytes(16).toString("hex");
    const entry: Entry = {
      id: randomId("", 8),
      name: request.name,
      permissions: [...request.permissions],
      createdMs: request.nowMs,
      salt,
      hash: hashOf(salt, secret).toString("hex"),
    };
    this.#write([...this.#read(), entry]);
    return { token: toInfo(entry), text: `sk-lm-${entry.id}:${secret}` };
  }

  /**
   * @returns false when no token has this id.
   * @throws LmError invalid_file.
   */
  remove(id: string): boolean {
    const entries = this.#read();
    const rest = entries.filter((entry) => entry.id !== id);
    if (rest.length === entries.length) return false;
    this.#write(rest);
    return true;
  }

  /**
   * The token with this text; null = there is none. Takes the same time for a wrong secret and an
   * unknown id.
   * @throws LmError invalid_file.
   */
  find(text: string): TokenInfo | null {
    const [, id = "", secret = ""] = TEXT.exec(text) ?? [];
    const entry = this.#read().find((candidate) => candidate.id === id);
    const { salt, hash } = entry ?? NOBODY;
    const isRight = timingSafeEqual(hashOf(salt, secret), Buffer.from(hash, "hex"));
    return isRight && entry !== undefined ? toInfo(entry) : null;
  }

  #read(): readonly Entry[] {
    const facts = statSync(this.#path, { throwIfNoEntry: false, bigint: true });
    const stamp = facts === undefined ? null : `${facts.ino}:${facts.mtimeNs}:${facts.size}`;
    if (stamp === null) this.#entries = [];
    else if (stamp !== this.#stamp) this.#entries = readEntries(this.#path);
    this.#stamp = stamp;
    return this.#entries;
  }

  #write(tokens: readonly Entry[]): void {
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const text = `${JSON.stringify({ version: 1, tokens }, null, 2)}\n`;
      writeFileSync(temporary, text, { mode: 0o600, flag: "wx" });
      renameSync(temporary, this.#path);
    } catch (cause) {
      rmSync(temporary, { force: true });
      const code = systemCode(cause) ?? "unknown";
      const remedy = "another folder can be named with --state-dir";
      throw unusable(this.#path, `it cannot be written (${code}); ${remedy}`, cause);
    }
  }
}

function toInfo({ id, name, permissions, createdMs }: Entry): TokenInfo {
  return { id, name, permissions, createdMs };
}

function hashOf(salt: string, secret: string): Buffer {
  return createHash("sha256").update(salt, "hex").update(secret, "utf8").digest();
}

function readEntries(path: string): readonly Entry[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unusable(path, "it cannot be read as JSON", cause);
  }
  if (!Value.Check(TokenList, content)) throw unusable(path, "it is not a list of tokens");
  return content.tokens;
}

function unusable(path: string, reason: string, cause?: unknown): LmError<"invalid_file"> {
  const message = `The token file ${path} cannot be used: ${reason}.`;
  return new LmError("invalid_file", { path, reason }, message, { cause });
}
