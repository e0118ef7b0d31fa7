import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { type DagBlock, cidOfLink, decodeBlock, encodeBlock, linkOf } from "./dag-block.ts";
import { GitdError } from "./errors.ts";
import type { Cid } from "./ids.ts";

/** Turns a map's values into DAG-CBOR values and back; `parse` throws for what it did not write. */
export interface ValueCodec<V> {
  encode(value: V): unknown;
  parse(value: unknown): V;
}

export interface LeafPage<V> {
  readonly level: 0;
  readonly entries: readonly (readonly [string, V])[];
}

/** Each entry is the last key below a child, and the child. */
export interface InnerPage {
  readonly level: number;
  readonly entries: readonly (readonly [string, Cid])[];
}

/** Longest key in UTF-16 units; what is longer is refused. */
export const keyUnitsMax = 4096;
/** With natural cuts one page in 2^64 would grow this far by chance: the bound is for keys chosen to avoid them. */
const entriesPerPageMax = 1024;
const keyUnitsPerPageMax = 64 * 1024;
const boundaryBits = 7;
/** Levels that the bits of a hash last for; those above, which only chosen keys can reach, are cut by size alone. */
const naturalLevels = 30;
const levelMax = 40;

/** Gathers entries of one level into pages. Where it cuts depends only on the keys since the last cut. */
export class PageCutter<V> {
  readonly #level: number;
  #entries: (readonly [string, V])[] = [];
  #keyUnits = 0;

  constructor(level: number) {
    this.#level = level;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Takes the next entry; returns the page's entries when the page ends with it. */
  add(entry: readonly [string, V]): (readonly [string, V])[] | undefined {
    this.#entries.push(entry);
    this.#keyUnits += entry[0].length;
    const full = this.#entries.length >= entriesPerPageMax || this.#keyUnits >= keyUnitsPerPageMax;
    // NOTE: inner pages of one entry would not bring the root nearer, hence two before a cut above the leaves.
    const mayCut = this.#level === 0 || this.#entries.length > 1;
    return full || (mayCut && isBoundary(entry[0], this.#level)) ? this.take() : undefined;
  }

  /** The entries since the last cut. */
  take(): (readonly [string, V])[] {
    const taken = this.#entries;
    this.#entries = [];
    this.#keyUnits = 0;
    return taken;
  }
}

export function encodeLeaf<V>(entries: readonly (readonly [string, V])[], codec: ValueCodec<V>): DagBlock {
  return encodeBlock([0, entries.map(([key, value]) => [key, codec.encode(value)])]);
}

export function encodeInner(level: number, entries: readonly (readonly [string, Cid])[]): DagBlock {
  return encodeBlock([level, entries.map(([key, cid]) => [key, linkOf(cid)])]);
}

/** Reads a page from untrusted bytes: shape, order of keys and size are checked. */
export function decodePage<V>(bytes: Uint8Array, codec: ValueCodec<V>): LeafPage<V> | InnerPage {
  const page = decodeBlock(bytes);
  if (!Array.isArray(page) || page.length !== 2) throw malformed("not a pair");
  const [level, entries]: unknown[] = page;
  if (typeof level !== "number" || !Number.isInteger(level) || level < 0 || level > levelMax) {
    throw malformed("its level is not a small number");
  }
  if (!Array.isArray(entries) || entries.length > entriesPerPageMax)
    throw malformed("its entries are not a short list");
  if (level > 0 && entries.length === 0) throw malformed("an inner page has no child");
  let before: string | undefined;
  const keyed = entries.map((entry: unknown): [string, unknown] => {
    if (!Array.isArray(entry) || entry.length !== 2) throw malformed("an entry is not a pair");
    const [key, value]: unknown[] = entry;
    if (typeof key !== "string" || key.length > keyUnitsMax) throw malformed("a key is not a short text");
    if (before !== undefined && key <= before) throw malformed("its keys are not in order");
    before = key;
    return [key, value];
  });
  if (level === 0) return { level: 0, entries: keyed.map(([key, value]) => [key, codec.parse(value)]) };
  return { level, entries: keyed.map(([key, value]) => [key, childOf(value)]) };
}

export function isLeaf<V>(page: LeafPage<V> | InnerPage): page is LeafPage<V> {
  return page.level === 0;
}

export function malformed(why: string): GitdError {
  return new GitdError("content-mismatch", `a page of a sorted map is malformed: ${why}`);
}

function childOf(value: unknown): Cid {
  const cid = cidOfLink(value);
  if (cid === undefined) throw malformed("a child is not a link");
  return cid;
}

/** Each level looks at its own seven bits of the key's hash, so the cuts of different levels are independent. */
function isBoundary(key: string, level: number): boolean {
  if (level >= naturalLevels) return false;
  const hash = sha256(utf8ToBytes(key));
  const firstBit = level * boundaryBits;
  const byte = firstBit >> 3;
  const window = ((hash[byte] as number) << 8) | (hash[byte + 1] as number);
  return ((window >> (16 - boundaryBits - (firstBit & 7))) & ((1 << boundaryBits) - 1)) === 0;
}
