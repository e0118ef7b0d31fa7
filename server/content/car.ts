import { encode } from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { checkBlock, codecs, partsOf } from "./block-check.ts";
import { linksOf } from "./dag-links.ts";
import type { AbortOptions, BlockSource } from "./port.ts";

export interface CarOptions extends AbortOptions {
  /**
   * `blocks` (the default) stays with a Manifest's own blocks: from DAG-CBOR only links to DAG-CBOR are followed, so
   * neither packs nor Objects that it names are included. `files` follows every link. DAG-PB links always are.
   */
  readonly follow?: "blocks" | "files";
  /** Links between the root and the last block; 0 is the root alone, unlimited by default. */
  readonly depth?: number;
  /** More distinct blocks than this and the stream breaks off with `too-large`; 4 million (4 TiB of leaves) by default. */
  readonly blocksMax?: number;
}

const blocksMaxDefault = 4_000_000;

interface Open {
  readonly cid: Cid;
  readonly depth: number;
}

/**
 * The DAG below `root` as a CAR version 1 stream (ipld.io/specs/transport/car/carv1), depth first, each block once and
 * checked. Throws `not-found` where the source lacks a block: before the first byte for the root, else in mid-stream.
 */
export async function* carOf(
  source: BlockSource,
  root: Cid,
  options: CarOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const {
    signal,
    follow = "blocks",
    depth = Number.MAX_SAFE_INTEGER,
    blocksMax = blocksMaxDefault,
  } = options;
  const seen = new Set<Cid>();
  const open: Open[] = [{ cid: root, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { cid } = next;
    if (seen.has(cid)) continue;
    if (seen.size === blocksMax)
      throw new GitdError("too-large", `${root} has more than ${blocksMax} blocks`);
    signal.throwIfAborted();
    const bytes = await source.getBlock(cid, { signal });
    checkBlock(cid, bytes);
    if (seen.size === 0) yield header(root);
    seen.add(cid);
    yield* frame(cid, bytes);
    if (next.depth === depth) continue;
    const links = linksOf(cid, bytes).filter((link) => !seen.has(link) && isFollowed(cid, link, follow));
    for (const link of links.toReversed()) open.push({ cid: link, depth: next.depth + 1 });
  }
}

function isFollowed(from: Cid, to: Cid, follow: "blocks" | "files"): boolean {
  if (follow === "files" || partsOf(from).codec !== codecs.dagCbor) return true;
  return partsOf(to).codec === codecs.dagCbor;
}

function header(root: Cid): Uint8Array {
  const bytes = encode({ roots: [CID.parse(root)], version: 1 });
  return Buffer.concat([varint(bytes.length), bytes]);
}

function* frame(cid: Cid, bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  const name = partsOf(cid).bytes;
  yield Buffer.concat([varint(name.length + bytes.length), name]);
  yield bytes;
}

/** Unsigned LEB128, as multiformats has it. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
