import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { absent, checkBlock, codecs, partsOf, sameBytes, sha256 } from "./block-check.ts";
import { FlatIndex, type LeafPlace } from "./flat-index.ts";
import { sweepTemp, takeIn } from "./flat-intake.ts";
import type { AbortOptions, ByteRange, ContentStore, Stored } from "./port.ts";
import { readPieces } from "./read-file.ts";
import { codeOf, storageFailure } from "./storage-failure.ts";

export interface FlatStoreOptions {
  /** Holds `files/`, `temp/` and `index.sqlite`. Several processes of one machine may share it. */
  readonly directory: string;
  /** Names of temporary files; must differ between all processes. */
  readonly newId?: () => string;
}

/** Opens or creates the store and removes what processes that died left in its temp folder. */
export async function openFlatStore(options: FlatStoreOptions): Promise<FlatStore> {
  const temp = join(options.directory, "temp");
  try {
    await mkdir(temp, { recursive: true, mode: 0o700 });
    await mkdir(join(options.directory, "files"), { recursive: true });
    await sweepTemp(temp);
    return new FlatStore(options, new FlatIndex(join(options.directory, "index.sqlite")));
  } catch (error) {
    throw storageFailure(error);
  }
}

/**
 * Files lie flat at `files/<shard>/<cid>` and the index knows which leaf is where in them, so nothing is stored twice
 * and each leaf can still be read as an IPFS block. Small blocks and tree nodes lie in the index itself.
 */
export class FlatStore implements ContentStore, AsyncDisposable {
  readonly #files: string;
  readonly #temp: string;
  readonly #newId: () => string;
  readonly #index: FlatIndex;

  constructor(options: FlatStoreOptions, index: FlatIndex) {
    this.#files = join(options.directory, "files");
    this.#temp = join(options.directory, "temp");
    this.#newId = options.newId ?? randomUUID;
    this.#index = index;
  }

  async addFile(path: string, { signal }: AbortOptions): Promise<Stored> {
    const temp = this.newTempPath();
    try {
      const file = await takeIn(path, temp, signal);
      const { cid, sizeBytes } = file;
      const target = this.#pathOf(cid);
      await this.#makeShard(dirname(target));
      this.#index.transaction(() => {
        // NOTE: under the write lock, as another process may be removing the same file. A file that is there already is
        // replaced by the same bytes, which heals one that was damaged on disk.
        renameSync(temp, target);
        syncFolder(dirname(target));
        if (this.#index.file(cid) === undefined) this.#index.addFile(file);
      });
      return { cid, sizeBytes };
    } catch (error) {
      throw storageFailure(error);
    } finally {
      await rm(temp, { force: true });
    }
  }

  async putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, { signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted();
    for (const [cid, bytes] of blocks) checkBlock(cid, bytes);
    this.#index.transaction(() => {
      for (const [cid, bytes] of blocks) this.#index.addBlock(cid, bytes);
    });
  }

  async getBlock(cid: Cid, { signal }: AbortOptions): Promise<Uint8Array> {
    signal.throwIfAborted();
    const { codec, digest } = partsOf(cid);
    const places = codec === codecs.raw ? this.#index.leafPlaces(digest) : [];
    let failure: unknown;
    for (const place of places) {
      try {
        return await this.#readLeaf(place, digest);
      } catch (error) {
        if (!(error instanceof GitdError)) throw error;
        failure = error;
      }
    }
    const bytes = this.#index.block(cid);
    if (bytes === undefined) throw failure ?? absent(cid);
    checkBlock(cid, bytes);
    return bytes;
  }

  async *readFile(
    cid: Cid,
    { signal, range }: AbortOptions & { readonly range?: ByteRange },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted();
    const known = this.#index.file(cid);
    if (known === undefined) throw absent(cid);
    const { start, end } = clip(range, known.sizeBytes);
    await using file = await this.#open(cid, known.sizeBytes);
    let left = end - start;
    for await (const bytes of readPieces(file, { start, end }, signal)) {
      yield bytes;
      left -= bytes.length;
    }
    if (left > 0) throw damaged(cid, "became shorter while it was read");
  }

  async stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined> {
    const known = this.#index.file(cid);
    return known === undefined ? undefined : { sizeBytes: known.sizeBytes };
  }

  async hasBlock(cid: Cid): Promise<boolean> {
    const { codec, digest } = partsOf(cid);
    return (
      (codec === codecs.raw && this.#index.leafPlaces(digest).length > 0) ||
      this.#index.block(cid) !== undefined
    );
  }

  async localPath(cid: Cid, { signal }: AbortOptions): Promise<string> {
    signal.throwIfAborted();
    const known = this.#index.file(cid);
    if (known === undefined) throw absent(cid);
    const file = await this.#open(cid, known.sizeBytes);
    await file.close();
    return this.#pathOf(cid);
  }

  async removeFile(cid: Cid): Promise<void> {
    this.#index.transaction(() => {
      const known = this.#index.file(cid);
      if (known !== undefined) this.#index.removeFile(known);
      rmSync(this.#pathOf(cid), { force: true });
    });
  }

  async ready(): Promise<void> {
    this.#index.check();
    try {
      await stat(this.#files);
    } catch (cause) {
      throw new GitdError("storage-unavailable", "the content folder cannot be read", { cause });
    }
  }

  /** The files that a leaf or tree node is part of (at most 16), so that rights on the file decide on its blocks. */
  async filesHolding(cid: Cid): Promise<Cid[]> {
    const { codec, digest } = partsOf(cid);
    return codec === codecs.raw
      ? this.#index.leafPlaces(digest).map(({ file }) => file)
      : this.#index.nodeHolders(cid);
  }

  /** A path on the store's own disk, swept at the next opening after this process has died. */
  newTempPath(): string {
    return join(this.#temp, `${process.pid}-${this.#newId()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#index.close();
  }

  async #readLeaf(place: LeafPlace, digest: Uint8Array): Promise<Uint8Array> {
    await using file = await this.#open(place.file);
    const bytes = Buffer.allocUnsafeSlow(place.lengthBytes);
    const { bytesRead } = await file.read(bytes, 0, place.lengthBytes, place.startBytes);
    if (bytesRead !== place.lengthBytes || !sameBytes(sha256(bytes), digest)) {
      throw damaged(place.file, `no longer has its bytes at ${place.startBytes}`);
    }
    return bytes;
  }

  async #open(cid: Cid, sizeBytes?: bigint): Promise<FileHandle> {
    let file: FileHandle;
    try {
      file = await open(this.#pathOf(cid), "r");
    } catch (error) {
      if (codeOf(error) === "ENOENT") throw damaged(cid, "is gone from the disk");
      throw storageFailure(error);
    }
    if (sizeBytes === undefined) return file;
    const found = await file.stat({ bigint: true });
    if (found.size === sizeBytes) return file;
    await file.close();
    throw damaged(cid, `has ${found.size} bytes on disk, not ${sizeBytes}`);
  }

  async #makeShard(folder: string): Promise<void> {
    if ((await mkdir(folder, { recursive: true })) !== undefined) syncFolder(this.#files);
  }

  /** Sharded by the last characters: all Cids begin alike. */
  #pathOf(cid: Cid): string {
    return join(this.#files, cid.slice(-2), cid);
  }
}

function clip(
  range: ByteRange | undefined,
  sizeBytes: bigint,
): { readonly start: number; readonly end: number } {
  const { start, end } = range ?? { start: 0n, end: sizeBytes };
  if (start < 0n || end < start || end > sizeBytes) {
    throw new GitdError("invalid", `bytes ${start} to ${end} do not lie within the file's ${sizeBytes}`);
  }
  return { start: Number(start), end: Number(end) };
}

function damaged(cid: Cid, how: string): GitdError {
  return new GitdError("content-mismatch", `the stored file ${cid} ${how}`, {
    fix: "add the file again, or fetch it from a peer",
  });
}

/** A new name in a folder survives a crash only once the folder is synced. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
