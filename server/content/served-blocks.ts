import type { HeliaInit } from "helia";
import type { CID } from "multiformats/cid";
import type { Cid } from "../domain/ids.ts";
import { cidOfAnyLink } from "./block-check.ts";
import type { AbortOptions, ContentStore } from "./port.ts";

export interface Served {
  readonly store: Pick<ContentStore, "getBlock" | "hasBlock">;
  /** Bitswap does not say who asks, so only what everyone may read can be served: this decides it for each block. */
  readonly mayServe: (cid: Cid, options: AbortOptions) => Promise<boolean>;
  /** A block that could not be read or judged; the peer is told that it is not here. */
  readonly onError: (error: unknown, cid: Cid) => void;
}

type Blockstore = NonNullable<HeliaInit["blockstore"]>;
interface Pair {
  readonly cid: CID;
  readonly bytes: AsyncGenerator<Uint8Array, void, undefined>;
}

const grantsMax = 1024;
const answerMsMax = 10_000;

/**
 * The blockstore that bitswap sees: blocks of the content store that everyone may read, and nothing else. It keeps no
 * bytes of its own, and blocks fetched from peers pass it by.
 */
export class ServedBlocks implements Blockstore {
  readonly #served: Served | undefined;
  /**
   * Blocks that `has` said yes to and `get` was not yet asked for. Helia asks `has` a second time before `get`, and
   * would go looking among peers, without end, if the answer had changed.
   */
  readonly #granted = new Set<string>();

  constructor(served: Served | undefined) {
    this.#served = served;
  }

  async has(link: CID): Promise<boolean> {
    const key = link.toString();
    if (this.#granted.delete(key)) return true;
    if (!(await this.#isServed(link))) return false;
    if (this.#granted.size < grantsMax) this.#granted.add(key);
    return true;
  }

  async *get(link: CID): AsyncGenerator<Uint8Array, void, undefined> {
    yield await this.#read(link);
  }

  async *getMany(links: Iterable<CID> | AsyncIterable<CID>): AsyncGenerator<Pair> {
    for await (const cid of links) yield { cid, bytes: this.get(cid) };
  }

  async put(cid: CID): Promise<CID> {
    return cid;
  }

  async *putMany(
    source: Iterable<{ readonly cid: CID }> | AsyncIterable<{ readonly cid: CID }>,
  ): AsyncGenerator<CID> {
    for await (const { cid } of source) yield cid;
  }

  async delete(): Promise<void> {
    throw new Error("blocks of the content store are not removed through bitswap");
  }

  // oxlint-disable-next-line require-yield -- it has nothing to give before it refuses
  async *deleteMany(): AsyncGenerator<CID> {
    await this.delete();
  }

  async *getAll(): AsyncGenerator<Pair> {
    // NOTE: asked for by garbage collection and pin listing only, which a content store does by itself.
  }

  async #isServed(link: CID): Promise<boolean> {
    const served = this.#served;
    if (served === undefined) return false;
    const cid = cidOfAnyLink(link);
    try {
      if (!(await served.store.hasBlock(cid))) return false;
      return await served.mayServe(cid, { signal: AbortSignal.timeout(answerMsMax) });
    } catch (error) {
      served.onError(error, cid);
      return false;
    }
  }

  /** Bitswap lets one failing block hold up all others of its peer, unless the failure is called `NotFoundError`. */
  async #read(link: CID): Promise<Uint8Array> {
    const cid = cidOfAnyLink(link);
    try {
      if (this.#served === undefined) throw notFound(cid);
      return await this.#served.store.getBlock(cid, { signal: AbortSignal.timeout(answerMsMax) });
    } catch (error) {
      this.#served?.onError(error, cid);
      throw notFound(cid);
    }
  }
}

function notFound(cid: Cid): Error {
  return Object.assign(new Error(`${cid} is not served`), { name: "NotFoundError" });
}
