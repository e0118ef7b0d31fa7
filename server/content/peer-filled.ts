import { isGitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { checkBlock } from "./block-check.ts";
import type { AbortOptions, BlockSource, ByteRange, ContentStore, Stored } from "./port.ts";

/** Fetches a whole file from elsewhere into the same store, here or through another process; throws `not-found`. */
export type ObtainFile = (cid: Cid, options: AbortOptions) => Promise<void>;

export interface Elsewhere extends BlockSource {
  readonly obtainFile: ObtainFile;
}

/**
 * A store that asks elsewhere for what it lacks. Files that are read are kept from then on; single blocks are not, as
 * nothing here would ever remove them.
 */
export class PeerFilledStore implements ContentStore {
  readonly #inner: ContentStore;
  readonly #elsewhere: Elsewhere;
  /** One fetch for all who want a file; it ends when the last of them gives up. */
  readonly #running = new Map<Cid, Fetching>();

  constructor(inner: ContentStore, elsewhere: Elsewhere) {
    this.#inner = inner;
    this.#elsewhere = elsewhere;
  }

  addFile(path: string, options: AbortOptions): Promise<Stored> {
    return this.#inner.addFile(path, options);
  }

  putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, options: AbortOptions): Promise<void> {
    return this.#inner.putBlocks(blocks, options);
  }

  async getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array> {
    try {
      return await this.#inner.getBlock(cid, options);
    } catch (error) {
      if (!isGitdError(error, "not-found")) throw error;
    }
    const bytes = await this.#elsewhere.getBlock(cid, options);
    checkBlock(cid, bytes);
    return bytes;
  }

  async *readFile(
    cid: Cid,
    options: AbortOptions & { readonly range?: ByteRange },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#obtain(cid, options.signal);
    yield* this.#inner.readFile(cid, options);
  }

  /** What is here: a file elsewhere has no known size until it is fetched. */
  stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined> {
    return this.#inner.stat(cid);
  }

  hasBlock(cid: Cid): Promise<boolean> {
    return this.#inner.hasBlock(cid);
  }

  async localPath(cid: Cid, options: AbortOptions): Promise<string> {
    await this.#obtain(cid, options.signal);
    return this.#inner.localPath(cid, options);
  }

  removeFile(cid: Cid): Promise<void> {
    return this.#inner.removeFile(cid);
  }

  ready(): Promise<void> {
    return this.#inner.ready();
  }

  async #obtain(cid: Cid, signal: AbortSignal): Promise<void> {
    if ((await this.#inner.stat(cid)) !== undefined) return;
    signal.throwIfAborted();
    let fetching = this.#running.get(cid);
    if (fetching === undefined) {
      fetching = new Fetching((inner) => this.#elsewhere.obtainFile(cid, { signal: inner }));
      this.#running.set(cid, fetching);
    }
    try {
      await fetching.join(signal);
    } finally {
      if (fetching.isOver && this.#running.get(cid) === fetching) this.#running.delete(cid);
    }
  }
}

/** Work that several callers wait for, each with a signal of its own. */
class Fetching {
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;
  #waiting = 0;
  isOver = false;

  constructor(work: (signal: AbortSignal) => Promise<void>) {
    this.#done = work(this.#stopped.signal).finally(() => {
      this.isOver = true;
    });
    this.#done.catch(() => undefined);
  }

  async join(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#waiting += 1;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([this.#done, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      this.#waiting -= 1;
      if (this.#waiting === 0) {
        this.isOver = true;
        this.#stopped.abort(signal.reason);
      }
    }
  }
}
