import type { Cid } from "../domain/ids.ts";

export interface AbortOptions {
  readonly signal: AbortSignal;
}

export interface Stored {
  readonly cid: Cid;
  readonly sizeBytes: bigint;
}

/** Anything that gives blocks by Cid: a store, IPFS peers, a gateway. Law: the bytes have the Cid's hash; `not-found` otherwise. */
export interface BlockSource {
  getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array>;
}

export interface ByteRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

/**
 * Immutable bytes named by Cid: files (packs, Objects) and small blocks (Manifests, records, tree pages).
 * File Cids follow the `unixfs-v1-2025` profile: CIDv1, sha2-256, raw leaves of 1 MiB, 1024 links, no wrapper for one leaf.
 */
export interface ContentStore extends BlockSource {
  /**
   * Takes over the file at `path`, by link where possible: it becomes read-only, nobody may write to it any more, and the
   * caller may delete its name. Write a new version to a new file.
   * Law: when it returns, bytes and index are durable; adding the same bytes again gives the same Cid and stores nothing.
   */
  addFile(path: string, options: AbortOptions): Promise<Stored>;
  /** Law: every block is durable when it returns; a block whose bytes do not match its Cid is refused (`content-mismatch`). */
  putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, options: AbortOptions): Promise<void>;
  /** Law: returns exactly the bytes named by `cid` (a leaf, a tree node, or a small block), or throws `not-found`. At most 2 MiB. */
  getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array>;
  /** Law: streams the bytes of the file `cid`, or of `range` in it; throws `not-found` before the first byte. */
  readFile(cid: Cid, options: AbortOptions & { readonly range?: ByteRange }): AsyncIterable<Uint8Array>;
  /** Size of a file; undefined when the store lacks it. */
  stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined>;
  hasBlock(cid: Cid): Promise<boolean>;
  /**
   * Makes the whole file available as a local path, fetching it from peers if need be; throws `not-found`.
   * Law: the file at the path has exactly the bytes of `cid` and must not be written to. Link or open it before the next
   * call: an engine elsewhere keeps only the latest files here.
   */
  localPath(cid: Cid, options: AbortOptions): Promise<string>;
  /** Law: afterwards the file and the blocks only it had are gone; removing what is absent is no error. */
  removeFile(cid: Cid): Promise<void>;
  /** Resolves when the store can serve; throws `storage-unavailable` otherwise. */
  ready(): Promise<void>;
}
