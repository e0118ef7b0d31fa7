import { type FileHandle, open, rm } from "node:fs/promises";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import type { AbortOptions, BlockSource } from "./port.ts";
import { type Piece, dagFileSize, isRaw, readDagPieces } from "./read-dag.ts";

/** Blocks under way at once: 16 MiB of memory at most. */
const window = 8;
const fileBytesMaxDefault = 1024n ** 4n;

export interface FetchFileOptions extends AbortOptions {
  /** Where to write; must not exist. Removed again if the fetch fails. */
  readonly path: string;
  /** Refused as `too-large` before anything is fetched when the root states more; 1 TiB by default. */
  readonly fileBytesMax?: bigint;
}

/**
 * Writes the UnixFS file `cid` to a path, block by block from `source`, each checked against its Cid.
 * Returns its size in bytes. A block that the file repeats is fetched once.
 */
export async function fetchFile(source: BlockSource, cid: Cid, options: FetchFileOptions): Promise<bigint> {
  const { path, signal, fileBytesMax = fileBytesMaxDefault } = options;
  const stated = await dagFileSize(source, cid, { signal });
  if (stated > fileBytesMax) {
    throw new GitdError("too-large", `${cid} states ${stated} bytes, more than the ${fileBytesMax} allowed`);
  }
  const file = await open(path, "wx+", 0o600);
  try {
    const once = new OnceSource(source, file);
    for await (const piece of readDagPieces(once, cid, { signal, window })) await once.write(piece);
    return stated;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** Remembers where a leaf came to lie in the file, so that a file of a million equal leaves is one fetch. */
class OnceSource implements BlockSource {
  readonly #source: BlockSource;
  readonly #file: FileHandle;
  /** Leaves under way or not yet written: at most the window. */
  readonly #held = new Map<Cid, Promise<Uint8Array>>();
  readonly #places = new Map<Cid, { readonly start: number; readonly length: number }>();
  #written = 0;

  constructor(source: BlockSource, file: FileHandle) {
    this.#source = source;
    this.#file = file;
  }

  getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array> {
    if (!isRaw(cid)) return this.#source.getBlock(cid, options);
    const place = this.#places.get(cid);
    if (place !== undefined) return this.#reread(place);
    const held = this.#held.get(cid) ?? this.#source.getBlock(cid, options);
    this.#held.set(cid, held);
    return held;
  }

  async write({ leaf, bytes }: Piece): Promise<void> {
    const start = this.#written;
    await writeAll(this.#file, bytes, start);
    this.#written += bytes.length;
    if (leaf === undefined) return;
    this.#places.set(leaf, { start, length: bytes.length });
    this.#held.delete(leaf);
  }

  async #reread(place: { readonly start: number; readonly length: number }): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(place.length);
    await this.#file.read(bytes, 0, place.length, place.start);
    return bytes;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, start + done);
    done += bytesWritten;
  }
}
