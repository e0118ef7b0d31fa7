import type { DagBlock } from "./dag-block.ts";
import { GitdError } from "./errors.ts";
import type { Cid } from "./ids.ts";
import {
  type InnerPage,
  type LeafPage,
  PageCutter,
  type ValueCodec,
  decodePage,
  encodeInner,
  encodeLeaf,
  isLeaf,
  keyUnitsMax,
  malformed,
} from "./sorted-map-page.ts";
import { type LoadBlock, OldTree, loadChild } from "./sorted-map-tree.ts";

/** A map's new root and the pages that it does not share with the map it came from. */
export interface SortedMapUpdate {
  readonly root: Cid;
  readonly blocks: ReadonlyMap<Cid, Uint8Array>;
}

type Entry<V> = readonly [string, V];
/** `undefined` removes the key. */
type Change<V> = readonly [string, V | undefined];

/**
 * A map from text to values as a tree of DAG-CBOR pages. Pages end where the hash of a key says so (about every 128
 * entries), so a set of entries has one tree whatever order it came in, and a change of one entry rewrites one page on
 * each level. Keys are ordered by UTF-16 unit. Entries may come in any order; of two with one key the later counts.
 */
export function buildSortedMap<V>(entries: Iterable<Entry<V>>, codec: ValueCodec<V>): SortedMapUpdate {
  const sorted = [...new Map(entries)].sort(byKey);
  const blocks = new Map<Cid, Uint8Array>();
  for (const [key] of sorted) checkKey(key);
  const pages = cutAll(0, sorted, blocks, (page) => encodeLeaf(page, codec));
  if (pages.length === 0) {
    const empty = encodeLeaf([], codec);
    return { root: empty.cid, blocks: new Map([[empty.cid, empty.bytes]]) };
  }
  return { root: raise(1, pages, blocks), blocks };
}

/**
 * The map with `changes` made: `undefined` removes a key. Law: its root is the one that {@link buildSortedMap} gives
 * for the resulting entries. Loads and rewrites only the pages that the changes touch, and those above them.
 */
export async function updateSortedMap<V>(
  root: Cid,
  changes: ReadonlyMap<string, V | undefined>,
  codec: ValueCodec<V>,
  load: LoadBlock,
): Promise<SortedMapUpdate> {
  for (const key of changes.keys()) checkKey(key);
  const tree = await OldTree.open(root, codec, load);
  const blocks = new Map<Cid, Uint8Array>();
  const leafChanges: Change<V>[] = [...changes].sort(byKey);
  let parents = await rewriteLevel(tree, 0, leafChanges, blocks, (page) => encodeLeaf(page, codec));
  for (let level = 1; level <= tree.height; level += 1) {
    if (parents.length === 0) return { root, blocks: new Map() };
    parents = await rewriteLevel<Cid>(tree, level, parents, blocks, (page) => encodeInner(level, page));
  }
  if (parents.length === 0) return { root, blocks: new Map() };
  const tops = parents.filter((change): change is Entry<Cid> => change[1] !== undefined);
  if (tops.length === 0) return buildSortedMap([], codec);
  const raised = raise(tree.height + 1, tops, blocks);
  return { root: await lower(raised, blocks, codec, load), blocks };
}

/** Every entry in order. The pages may come from anyone: a malformed tree throws `content-mismatch`. */
export async function* readSortedMap<V>(
  root: Cid,
  codec: ValueCodec<V>,
  load: LoadBlock,
): AsyncGenerator<Entry<V>, void, undefined> {
  let before: string | undefined;
  const open: { readonly page: InnerPage; next: number }[] = [];
  let page: LeafPage<V> | InnerPage | undefined = decodePage(await load(root), codec);
  while (page !== undefined) {
    if (isLeaf(page)) {
      for (const entry of page.entries) {
        if (before !== undefined && entry[0] <= before) throw malformed("pages are not in order");
        before = entry[0];
        yield entry;
      }
    } else {
      open.push({ page, next: 0 });
    }
    page = undefined;
    for (let top = open.at(-1); top !== undefined && page === undefined; top = open.at(-1)) {
      const child = top.page.entries[top.next];
      top.next += 1;
      if (child === undefined) open.pop();
      else page = await loadChild(child[1], top.page.level, codec, load);
    }
  }
}

/** The value of one key: loads one page on each level. */
export async function getFromSortedMap<V>(
  root: Cid,
  key: string,
  codec: ValueCodec<V>,
  load: LoadBlock,
): Promise<V | undefined> {
  let page = decodePage(await load(root), codec);
  while (!isLeaf(page)) {
    const child = page.entries.find(([last]) => last >= key);
    if (child === undefined) return undefined;
    page = await loadChild(child[1], page.level, codec, load);
  }
  return page.entries.find(([own]) => own === key)?.[1];
}

/** Every page's Cid, the root's included: what a restore has to fetch and a pin has to keep. */
export async function pagesOfSortedMap<V>(root: Cid, codec: ValueCodec<V>, load: LoadBlock): Promise<Cid[]> {
  const cids = [root];
  const open = [decodePage(await load(root), codec)];
  for (let page = open.pop(); page !== undefined; page = open.pop()) {
    if (isLeaf(page)) continue;
    for (const [, cid] of page.entries) {
      cids.push(cid);
      if (page.level > 1) open.push(await loadChild(cid, page.level, codec, load));
    }
  }
  return cids;
}

/** Rewrites the pages of one level that `changes` touch; returns what changes on the level above. */
async function rewriteLevel<V>(
  tree: OldTree<unknown>,
  level: number,
  changes: readonly Change<V>[],
  blocks: Map<Cid, Uint8Array>,
  encode: (entries: readonly Entry<V>[]) => DagBlock,
): Promise<Change<Cid>[]> {
  const parents = new Map<string, Cid | undefined>();
  const before = new Map<string, Cid | undefined>();
  let at = 0;
  while (at < changes.length) {
    const cutter = new PageCutter<V>(level);
    const emit = (page: readonly Entry<V>[]): void => {
      const { cid, bytes } = encode(page);
      const last = (page.at(-1) as Entry<V>)[0];
      parents.set(last, cid);
      if (before.get(last) !== cid) blocks.set(cid, bytes);
    };
    let found = await tree.pageEnding(level, (changes[at] as Change<V>)[0], false);
    while (found !== undefined) {
      const entries = found.page.entries as readonly Entry<V>[];
      const last = entries.at(-1)?.[0];
      const next = last === undefined ? undefined : await tree.pageEnding(level, last, true);
      const end = next === undefined ? changes.length : firstAfter(changes, at, last as string);
      if (last !== undefined) {
        before.set(last, found.cid);
        if (!parents.has(last)) parents.set(last, undefined);
      }
      for (const entry of merge(entries, changes.slice(at, end))) {
        const page = cutter.add(entry);
        if (page !== undefined) emit(page);
      }
      at = end;
      found = cutter.isEmpty ? undefined : next;
    }
    if (!cutter.isEmpty) emit(cutter.take());
  }
  return [...parents].filter(([key, cid]) => !before.has(key) || before.get(key) !== cid).sort(byKey);
}

function firstAfter<V>(changes: readonly Change<V>[], from: number, key: string): number {
  let at = from;
  while (at < changes.length && (changes[at] as Change<V>)[0] <= key) at += 1;
  return at;
}

/** Both lists are in order; a change replaces the entry of its key. */
function* merge<V>(entries: readonly Entry<V>[], changes: readonly Change<V>[]): Generator<Entry<V>> {
  let at = 0;
  for (const entry of entries) {
    for (; at < changes.length && (changes[at] as Change<V>)[0] < entry[0]; at += 1) {
      yield* present(changes[at] as Change<V>);
    }
    if (changes[at]?.[0] === entry[0]) {
      yield* present(changes[at] as Change<V>);
      at += 1;
    } else {
      yield entry;
    }
  }
  for (; at < changes.length; at += 1) yield* present(changes[at] as Change<V>);
}

function* present<V>([key, value]: Change<V>): Generator<Entry<V>> {
  if (value !== undefined) yield [key, value];
}

function cutAll<V>(
  level: number,
  entries: readonly Entry<V>[],
  blocks: Map<Cid, Uint8Array>,
  encode: (page: readonly Entry<V>[]) => DagBlock,
): Entry<Cid>[] {
  const cutter = new PageCutter<V>(level);
  const pages: Entry<Cid>[] = [];
  const emit = (page: readonly Entry<V>[]): void => {
    const { cid, bytes } = encode(page);
    blocks.set(cid, bytes);
    pages.push([(page.at(-1) as Entry<V>)[0], cid]);
  };
  for (const entry of entries) {
    const page = cutter.add(entry);
    if (page !== undefined) emit(page);
  }
  if (!cutter.isEmpty) emit(cutter.take());
  return pages;
}

/** Builds levels until one page is left. Each level has at most half the pages of the one below, rounded up. */
function raise(level: number, pages: readonly Entry<Cid>[], blocks: Map<Cid, Uint8Array>): Cid {
  const [first, ...others] = pages;
  if (first === undefined) throw new RangeError("a tree needs a page");
  if (others.length === 0) return first[1];
  return raise(
    level + 1,
    cutAll(level, pages, blocks, (page) => encodeInner(level, page)),
    blocks,
  );
}

/** Takes away roots that hold one child only, as a tree built afresh would not have them. */
async function lower<V>(
  root: Cid,
  blocks: Map<Cid, Uint8Array>,
  codec: ValueCodec<V>,
  load: LoadBlock,
): Promise<Cid> {
  const page = decodePage(blocks.get(root) ?? (await load(root)), codec);
  const [only, second] = page.entries;
  if (isLeaf(page) || only === undefined || second !== undefined) return root;
  blocks.delete(root);
  return lower(only[1] as Cid, blocks, codec, load);
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : Number(a[0] > b[0]);
}

function checkKey(key: string): void {
  if (key.length > keyUnitsMax) {
    throw new GitdError(
      "invalid",
      `a name of ${key.length} characters is longer than the ${keyUnitsMax} allowed`,
    );
  }
}
