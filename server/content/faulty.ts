import type { Cid } from "../domain/ids.ts";
import type { AbortOptions, ByteRange, ContentStore, Stored } from "./port.ts";

/**
 * Asked before each call, and with `chunk` before each piece of a file that is read. Return an error and the call fails
 * with it; `after` makes the engine do its work first, as when an answer is lost.
 */
export type FaultPlan = (call: keyof ContentStore | "chunk", moment: "before" | "after") => Error | undefined;

/** A content store that fails by plan: how callers are tested against disks and networks that break. */
export class FaultyStore implements ContentStore {
  readonly #inner: ContentStore;
  readonly #plan: FaultPlan;

  constructor(inner: ContentStore, plan: FaultPlan) {
    this.#inner = inner;
    this.#plan = plan;
  }

  addFile(path: string, options: AbortOptions): Promise<Stored> {
    return this.#call("addFile", () => this.#inner.addFile(path, options));
  }

  putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, options: AbortOptions): Promise<void> {
    return this.#call("putBlocks", () => this.#inner.putBlocks(blocks, options));
  }

  getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array> {
    return this.#call("getBlock", () => this.#inner.getBlock(cid, options));
  }

  async *readFile(
    cid: Cid,
    options: AbortOptions & { readonly range?: ByteRange },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    this.#fail("readFile", "before");
    for await (const bytes of this.#inner.readFile(cid, options)) {
      this.#fail("chunk", "before");
      yield bytes;
    }
    this.#fail("readFile", "after");
  }

  stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined> {
    return this.#call("stat", () => this.#inner.stat(cid));
  }

  hasBlock(cid: Cid): Promise<boolean> {
    return this.#call("hasBlock", () => this.#inner.hasBlock(cid));
  }

  localPath(cid: Cid, options: AbortOptions): Promise<string> {
    return this.#call("localPath", () => this.#inner.localPath(cid, options));
  }

  removeFile(cid: Cid): Promise<void> {
    return this.#call("removeFile", () => this.#inner.removeFile(cid));
  }

  ready(): Promise<void> {
    return this.#call("ready", () => this.#inner.ready());
  }

  async #call<Result>(call: keyof ContentStore, work: () => Promise<Result>): Promise<Result> {
    this.#fail(call, "before");
    const result = await work();
    this.#fail(call, "after");
    return result;
  }

  #fail(call: keyof ContentStore | "chunk", moment: "before" | "after"): void {
    const error = this.#plan(call, moment);
    if (error !== undefined) throw error;
  }
}
