import type { Cid } from "../domain/ids.ts";
import { checkBlock } from "./block-check.ts";
import type { AbortOptions, ByteRange, ContentStore, Stored } from "./port.ts";
import { readDag } from "./read-dag.ts";

/**
 * Checks what an engine gives and takes against the Cids: each block, and files leaf by leaf. For engines across a
 * network; the price is one sha2-256 of all that is read (about 1 GB/s for each core). `localPath` is not checked again.
 */
export class VerifiedStore implements ContentStore {
  readonly #inner: ContentStore;

  constructor(inner: ContentStore) {
    this.#inner = inner;
  }

  addFile(path: string, options: AbortOptions): Promise<Stored> {
    return this.#inner.addFile(path, options);
  }

  async putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, options: AbortOptions): Promise<void> {
    for (const [cid, bytes] of blocks) checkBlock(cid, bytes);
    await this.#inner.putBlocks(blocks, options);
  }

  async getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array> {
    const bytes = await this.#inner.getBlock(cid, options);
    checkBlock(cid, bytes);
    return bytes;
  }

  readFile(
    cid: Cid,
    options: AbortOptions & { readonly range?: ByteRange },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    // NOTE: readDag checks every block itself, so it reads from the engine, not from this wrapper.
    return readDag(this.#inner, cid, options);
  }

  stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined> {
    return this.#inner.stat(cid);
  }

  hasBlock(cid: Cid): Promise<boolean> {
    return this.#inner.hasBlock(cid);
  }

  localPath(cid: Cid, options: AbortOptions): Promise<string> {
    return this.#inner.localPath(cid, options);
  }

  removeFile(cid: Cid): Promise<void> {
    return this.#inner.removeFile(cid);
  }

  ready(): Promise<void> {
    return this.#inner.ready();
  }
}
