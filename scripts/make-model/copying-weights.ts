import type { Shape, TensorPlan } from "./architectures.ts";

/** Rotary base under which the slower half of a head's pairs hardly turns within a context. */
export const COPYING_ROPE_BASE = 1e12;

/** Tokens before the current one that are remembered beside each token. */
const LOOKBACK = 7;
/** Pairs of a head that turn fast: they tell neighbours apart. */
const FAST_PAIRS = 16;
/** Share of a head's pairs, the fast ones first, that turn too much to compare tokens by. */
const TURNING_SHARE = 0.36;
/** Strength of the constant queries that look `offset` tokens back. */
const OFFSET_GAIN = 13;
/** A match of one dimension adds so much to an attention score. */
const MATCH_SCORE = 1.25;
/** What is copied outweighs the token itself. */
const COPY_GAIN = 8;

/** Values of one tensor; `row` fills a zeroed row. null = the tensor keeps its random weights. */
export interface RowWriter {
  row: (values: Float32Array, index: number) => void;
}

/**
 * Weights of a qwen2 model that continues a text as it went on after the last seven tokens stood
 * before, or most of them, the construction of an induction head. An embedding has eight parts:
 * random signs of the token, and room for those of the seven before it, which the first layer
 * fetches by position. The last layer looks for where these agree and copies what followed. The layers between
 * compute as all others do and add nothing.
 */
export function copyingWeights(plan: TensorPlan, shape: Shape): RowWriter | null {
  const { heads, kvHeads, embedding, layers } = shape;
  const headSize = embedding / heads;
  const part = embedding / (LOOKBACK + 1);
  const headsPerPart = Math.ceil(part / headSize);
  if (kvHeads !== heads || heads < LOOKBACK * headsPerPart || part % 32 !== 0) {
    throw new Error("copying needs as many KV heads as heads, and seven heads for each part");
  }
  const name = plan.name.replace(/\.weight$/, "");
  const [, layerText, matrix] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (plan.kind === "norm") return constant(1);
  if (name === "token_embd") return tokenSigns(part);
  if (layerText === undefined || matrix === undefined) return null;
  const geometry = { heads, headSize, part, headsPerPart };
  if (layerText === "0") return FIRST_LAYER[matrix]?.(geometry) ?? BETWEEN[matrix] ?? null;
  if (Number(layerText) === layers - 1) {
    return LAST_LAYER[matrix]?.(geometry) ?? BETWEEN[matrix] ?? null;
  }
  return BETWEEN[matrix] ?? null;
}

interface Geometry {
  heads: number;
  headSize: number;
  /** Dimensions of each of the eight parts of an embedding. */
  part: number;
  headsPerPart: number;
}

const nothing: RowWriter = { row: () => undefined };

function constant(value: number): RowWriter {
  return { row: (values) => void values.fill(value) };
}

/** Layers that add nothing: what they compute is multiplied by zero. */
const BETWEEN: Readonly<Record<string, RowWriter>> = {
  attn_output: nothing,
  ffn_down: nothing,
  "attn_q.bias": nothing,
  "attn_k.bias": nothing,
  "attn_v.bias": nothing,
};

function tokenSigns(part: number): RowWriter {
  return {
    row: (values, token) => {
      let state = Math.imul(token + 1, 0x9e37_79b1) | 1;
      for (let index = 0; index < part; index++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        values[index] = state & 1 ? 1 : -1;
      }
    },
  };
}

/** Each head looks a fixed number of tokens back and fetches signs of the token there. */
const FIRST_LAYER: Readonly<Record<string, (geometry: Geometry) => RowWriter>> = {
  attn_q: () => nothing,
  attn_k: () => nothing,
  "attn_q.bias": (geometry) => offsetBias(geometry, () => 0),
  "attn_k.bias": (geometry) => offsetBias(geometry, (head) => offsetOf(head, geometry)),
  attn_v: (geometry) => ({
    row: (values, index) => {
      const source = fetched(index, geometry);
      // The norm has enlarged the signs: they are all there is in the embedding yet.
      if (source !== null) values[source] = 1 / Math.sqrt(LOOKBACK + 1);
    },
  }),
  attn_output: (geometry) => ({
    row: (values, index) => {
      const offset = Math.floor(index / geometry.part);
      if (offset === 0) return;
      const within = index % geometry.part;
      const head = (offset - 1) * geometry.headsPerPart + Math.floor(within / geometry.headSize);
      values[head * geometry.headSize + (within % geometry.headSize)] = 1;
    },
  }),
};

function offsetOf(head: number, { headsPerPart }: Geometry): number {
  const offset = Math.floor(head / headsPerPart) + 1;
  return offset <= LOOKBACK ? offset : 1;
}

/** The sign that a value dimension of the first layer carries; null = none. */
function fetched(index: number, { headSize, part, headsPerPart }: Geometry): number | null {
  const head = Math.floor(index / headSize);
  const source = (head % headsPerPart) * headSize + (index % headSize);
  return head < LOOKBACK * headsPerPart && source < part ? source : null;
}

/** The same for every token: turned by position, key and query agree best `turn` tokens apart. */
function offsetBias({ heads, headSize }: Geometry, turn: (head: number) => number): RowWriter {
  const half = headSize / 2;
  return {
    row: (values) => {
      for (let head = 0; head < heads; head++) {
        for (let pair = 0; pair < FAST_PAIRS; pair++) {
          const angle = turn(head) * COPYING_ROPE_BASE ** (-pair / half);
          values[head * headSize + pair] = OFFSET_GAIN * Math.cos(angle);
          values[head * headSize + pair + half] = OFFSET_GAIN * Math.sin(angle);
        }
      }
    },
  };
}

/** Finds where the last tokens stood before and copies what followed. */
const LAST_LAYER: Readonly<Record<string, (geometry: Geometry) => RowWriter>> = {
  // The current token and the six before it ...
  attn_q: (geometry) => comparing(geometry, 0),
  // ... against the seven before each other token.
  attn_k: (geometry) => comparing(geometry, 1),
  attn_v: ({ heads, headSize, part }) => ({
    row: (values, index) => {
      const source = copied(index, heads, headSize, part);
      if (source !== null) values[source] = 1;
    },
  }),
  attn_output: ({ heads, headSize, part }) => ({
    row: (values, index) => {
      if (index >= part) return;
      const share = Math.ceil(part / heads);
      const head = Math.floor(index / share);
      values[head * headSize + (index % share)] = COPY_GAIN;
    },
  }),
};

function copied(index: number, heads: number, headSize: number, part: number): number | null {
  const share = Math.ceil(part / heads);
  const within = index % headSize;
  const source = Math.floor(index / headSize) * share + within;
  return within < share && source < part ? source : null;
}

/** Each head compares signs of its own, of all tokens in turn, in the pairs that hardly turn. */
function comparing({ headSize, part }: Geometry, shift: number): RowWriter {
  const half = headSize / 2;
  const firstPair = Math.ceil(TURNING_SHARE * half);
  const still = half - firstPair;
  const gain = Math.sqrt(MATCH_SCORE * Math.sqrt(headSize));
  return {
    row: (values, index) => {
      const head = Math.floor(index / headSize);
      const within = index % headSize;
      const pair = within % half;
      if (pair < firstPair) return;
      const place = (pair - firstPair) * 2 + (within < half ? 0 : 1);
      const signsPerToken = Math.floor((2 * still) / LOOKBACK);
      if (place >= LOOKBACK * signsPerToken) return;
      const source = (head * signsPerToken + Math.floor(place / LOOKBACK)) % part;
      values[((place % LOOKBACK) + shift) * part + source] = gain;
    },
  };
}
