import { encode, prepare } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import type { Cid } from "../domain/ids.ts";
import { cidOf, codecs, sha256 } from "./block-check.ts";

/** Numbers of the `unixfs-v1-2025` profile (IPIP-499). */
export const leafBytes = 1024 * 1024;
export const linksMax = 1024;

const sha256Code = 0x12;

/** One raw block of a file: `lengthBytes` at `startBytes`. */
export interface Leaf {
  readonly digest: Uint8Array;
  readonly startBytes: number;
  readonly lengthBytes: number;
}

/** A dag-pb node above the leaves. */
export interface TreeNode {
  readonly cid: Cid;
  readonly bytes: Uint8Array;
}

/** Gets each block as soon as it is known, leaves in file order and nodes after all below them. */
export interface LayoutSink {
  leaf(leaf: Leaf): void;
  node(node: TreeNode): void;
}

export interface LaidOutFile {
  readonly cid: Cid;
  readonly sizeBytes: bigint;
}

interface Link {
  readonly codec: number;
  readonly digest: Uint8Array;
  /** Bytes of the file below. */
  readonly fileBytes: number;
  /** Bytes of all blocks below, the node itself included: what dag-pb calls Tsize. */
  readonly blockBytes: number;
}

/**
 * Cuts a file into the DAG that `ipfs add` makes under the `unixfs-v1-2025` profile: raw leaves of 1 MiB under balanced
 * dag-pb nodes of at most 1024 links; a file of one leaf is that leaf, the empty file the empty leaf.
 * Keeps at most 1024 links for each level of the tree, whatever the size of the file.
 */
export class FileLayout {
  readonly #sink: LayoutSink;
  readonly #levels: Link[][] = [];
  #sizeBytes = 0;
  #ended = false;

  constructor(sink: LayoutSink) {
    this.#sink = sink;
  }

  /** The next leaf's bytes: exactly {@link leafBytes}, but for the last one. Does not keep them. */
  add(bytes: Uint8Array): void {
    if (this.#ended) throw new Error("a leaf follows the last one");
    if (bytes.length > leafBytes) throw new Error(`a leaf has ${bytes.length} bytes`);
    this.#ended = bytes.length < leafBytes;
    const digest = sha256(bytes);
    this.#sink.leaf({ digest, startBytes: this.#sizeBytes, lengthBytes: bytes.length });
    this.#sizeBytes += bytes.length;
    this.#push(0, { codec: codecs.raw, digest, fileBytes: bytes.length, blockBytes: bytes.length });
  }

  finish(): LaidOutFile {
    if (this.#levels.length === 0) this.add(new Uint8Array());
    let depth = 0;
    let links = this.#levels[0] ?? [];
    while (depth + 1 < this.#levels.length || links.length > 1) {
      if (links.length > 0) this.#close(depth);
      depth += 1;
      links = this.#levels[depth] ?? [];
    }
    const [root] = links;
    if (root === undefined) throw new Error("a tree ended without a root");
    return { cid: cidOf(root.codec, root.digest), sizeBytes: BigInt(this.#sizeBytes) };
  }

  #push(depth: number, link: Link): void {
    const links = (this.#levels[depth] ??= []);
    links.push(link);
    if (links.length === linksMax) this.#close(depth);
  }

  #close(depth: number): void {
    const links = this.#levels[depth] ?? [];
    this.#levels[depth] = [];
    const bytes = encodeNode(links);
    const digest = sha256(bytes);
    this.#sink.node({ cid: cidOf(codecs.dagPb, digest), bytes });
    this.#push(depth + 1, {
      codec: codecs.dagPb,
      digest,
      fileBytes: sum(links, "fileBytes"),
      blockBytes: bytes.length + sum(links, "blockBytes"),
    });
  }
}

function encodeNode(links: readonly Link[]): Uint8Array {
  const file = new UnixFS({ type: "file", blockSizes: links.map(({ fileBytes }) => BigInt(fileBytes)) });
  return encode(
    prepare({
      Data: file.marshal(),
      Links: links.map(({ codec, digest, blockBytes }) => ({
        Name: "",
        Tsize: blockBytes,
        Hash: CID.createV1(codec, createDigest(sha256Code, digest)),
      })),
    }),
  );
}

function sum(links: readonly Link[], field: "fileBytes" | "blockBytes"): number {
  return links.reduce((total, link) => total + link[field], 0);
}
