import { randomUUID } from "node:crypto";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import { type Cid, parseCid } from "../domain/ids.ts";
import { absent, checkBlock, codecs, partsOf } from "./block-check.ts";
import { fileNodeOf, linksOf } from "./dag-links.ts";
import { KeptFiles } from "./kept-files.ts";
import { KuboRefusal, KuboRpc } from "./kubo-rpc.ts";
import type { AbortOptions, ByteRange, ContentStore, Stored } from "./port.ts";
import { readPieces } from "./read-file.ts";
import { storageFailure } from "./storage-failure.ts";

export interface KuboOptions {
  /** Address of the RPC, such as `http://127.0.0.1:5001`. It gives full control over the daemon: never a public one. */
  readonly url: string;
  /** Files that `localPath` gives out are kept here, the latest used ones. */
  readonly directory: string;
  /** Room for them; 10 GiB by default. A larger file is kept alone. */
  readonly keptBytesMax?: bigint;
  readonly newId?: () => string;
}

const keptBytesMaxDefault = 10n * 1024n ** 3n;
const callMsMax = 60_000;
/** A file that peers have may be large. */
const fetchMsMax = 60 * 60_000;
const readyMsMax = 5_000;
const removedAtOnce = 256;
const codecNames = new Map<number, string>([
  [codecs.raw, "raw"],
  [codecs.dagPb, "dag-pb"],
  [codecs.dagCbor, "dag-cbor"],
]);
/** The `unixfs-v1-2025` profile as `add` takes it, so that Cids are those of the flat store. */
const profile = {
  "cid-version": "1",
  "raw-leaves": "true",
  chunker: "size-1048576",
  "max-file-links": "1024",
  hash: "sha2-256",
  pin: "true",
  quieter: "true",
};
const offline = { offline: "true" };

export async function openKuboStore(options: KuboOptions): Promise<KuboStore> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  return new KuboStore(options);
}

/** Content in a Kubo daemon: files as recursive pins, small blocks as direct ones. */
export class KuboStore implements ContentStore {
  readonly #rpc: KuboRpc;
  readonly #newId: () => string;
  readonly #directory: string;
  readonly #kept: KeptFiles;

  constructor(options: KuboOptions) {
    this.#newId = options.newId ?? randomUUID;
    this.#rpc = new KuboRpc(options.url, this.#newId);
    this.#directory = options.directory;
    this.#kept = new KeptFiles(options.directory, options.keptBytesMax ?? keptBytesMaxDefault);
  }

  async addFile(path: string, { signal }: AbortOptions): Promise<Stored> {
    signal.throwIfAborted();
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const content = readPieces(file, { start: 0, end: size }, signal);
    const answer = await this.#told(() => this.#rpc.json("add", { query: profile, file: content, signal }));
    return { cid: parseCid(answer["Hash"]), sizeBytes: BigInt(size) };
  }

  async putBlocks(blocks: ReadonlyMap<Cid, Uint8Array>, { signal }: AbortOptions): Promise<void> {
    for (const [cid, bytes] of blocks) checkBlock(cid, bytes);
    for (const [cid, bytes] of blocks) {
      const codec = codecNames.get(partsOf(cid).codec);
      if (codec === undefined) throw new GitdError("invalid", `${cid} has a codec that Gitd does not store`);
      // NOTE: Kubo's own limit would refuse blocks of exactly 2 MiB that the port allows.
      const query = { "cid-codec": codec, mhtype: "sha2-256", "allow-big-block": "true" };
      const answer = await this.#told(() =>
        this.#rpc.json("block/put", { query, file: once(bytes), signal }),
      );
      if (answer["Key"] !== cid) {
        throw new GitdError("content-mismatch", `Kubo stored ${cid} as ${String(answer["Key"])}`);
      }
      // NOTE: not recursively, as what a small block links to may come later, or never.
      await this.#told(() => this.#pin(cid, "false", signal));
    }
  }

  async getBlock(cid: Cid, { signal }: AbortOptions): Promise<Uint8Array> {
    const query = { arg: cid, ...offline };
    return this.#orAbsent(cid, () => this.#rpc.bytes("block/get", { query, signal: within(signal) }));
  }

  async *readFile(
    cid: Cid,
    { signal, range }: AbortOptions & { readonly range?: ByteRange },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const found = await this.stat(cid);
    if (found === undefined) throw absent(cid);
    const { start, end } = range ?? { start: 0n, end: found.sizeBytes };
    if (start < 0n || end < start || end > found.sizeBytes) {
      throw new GitdError(
        "invalid",
        `bytes ${start} to ${end} do not lie within the file's ${found.sizeBytes}`,
      );
    }
    if (start === end) return;
    const query = { arg: cid, offset: String(start), length: String(end - start), ...offline };
    yield* this.#cat(cid, query, end - start, signal);
  }

  async stat(cid: Cid): Promise<{ readonly sizeBytes: bigint } | undefined> {
    const signal = AbortSignal.timeout(callMsMax);
    try {
      await this.#rpc.bytes("pin/ls", { query: { arg: cid, type: "recursive" }, signal });
      const root = await this.getBlock(cid, { signal });
      return { sizeBytes: BigInt(fileNodeOf(cid, root).fileBytes) };
    } catch (error) {
      if (error instanceof KuboRefusal && /is not pinned|not pinned/.test(error.message)) return undefined;
      throw this.#failure(error);
    }
  }

  async hasBlock(cid: Cid): Promise<boolean> {
    const query = { arg: cid, ...offline };
    const signal = AbortSignal.timeout(callMsMax);
    try {
      await this.#rpc.bytes("block/stat", { query, signal });
      return true;
    } catch (error) {
      if (isAbsence(error)) return false;
      throw this.#failure(error);
    }
  }

  async localPath(cid: Cid, { signal }: AbortOptions): Promise<string> {
    const kept = await this.#kept.find(cid);
    if (kept !== undefined) return kept;
    if ((await this.stat(cid)) === undefined) await this.#fetchFromPeers(cid, signal);
    const temp = join(this.#directory, `${this.#newId()}.part`);
    try {
      await using file = await open(temp, "wx", 0o600);
      for await (const bytes of this.readFile(cid, { signal })) await file.writeFile(bytes);
      return await this.#kept.keep(cid, temp);
    } catch (error) {
      throw storageFailure(error);
    } finally {
      await rm(temp, { force: true });
    }
  }

  async removeFile(cid: Cid): Promise<void> {
    const signal = AbortSignal.timeout(callMsMax);
    await this.#kept.forget(cid);
    if ((await this.stat(cid)) === undefined) return;
    const blocks = await this.#blocksOf(cid, signal);
    await this.#told(() => this.#rpc.bytes("pin/rm", { query: { arg: cid }, signal }));
    for (let start = 0; start < blocks.length; start += removedAtOnce) {
      // NOTE: Kubo keeps what another pin holds and says so in its answer, which is what is wanted.
      const query = { arg: blocks.slice(start, start + removedAtOnce), force: "true" };
      await this.#told(() => this.#rpc.bytes("block/rm", { query, signal }));
    }
  }

  async ready(): Promise<void> {
    await this.#told(() => this.#rpc.bytes("version", { signal: AbortSignal.timeout(readyMsMax) }));
    try {
      await stat(this.#directory);
    } catch (cause) {
      throw new GitdError("storage-unavailable", "the folder for kept files cannot be read", { cause });
    }
  }

  async *#cat(
    cid: Cid,
    query: Readonly<Record<string, string>>,
    lengthBytes: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { body } = await this.#orAbsent(cid, () => this.#rpc.stream("cat", { query, signal }));
    let left = lengthBytes;
    try {
      for await (const bytes of body) {
        left -= BigInt(bytes.length);
        yield bytes;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw new GitdError("storage-unavailable", `Kubo broke off while giving ${cid}`, { cause: error });
    }
    // NOTE: Kubo ends a failed answer early and says why in a trailer, which fetch does not show.
    if (left !== 0n)
      throw new GitdError("storage-unavailable", `Kubo gave ${cid} without its last ${left} bytes`);
  }

  async #pin(cid: Cid, recursive: "true" | "false", signal: AbortSignal): Promise<void> {
    try {
      await this.#rpc.bytes("pin/add", { query: { arg: cid, recursive }, signal });
    } catch (error) {
      // NOTE: Kubo has one pin for a Cid, so a block that is also a whole file goes when the file does. Gitd has none such.
      if (!(error instanceof KuboRefusal && error.message.includes("already pinned recursively")))
        throw error;
    }
  }

  async #fetchFromPeers(cid: Cid, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(fetchMsMax)]);
    try {
      await this.#orAbsent(cid, () => this.#pin(cid, "true", limit));
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) throw absent(cid);
      throw error;
    }
  }

  async #blocksOf(root: Cid, signal: AbortSignal): Promise<Cid[]> {
    const found = new Set<Cid>();
    const ahead = [root];
    for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
      if (found.has(cid)) continue;
      found.add(cid);
      if (partsOf(cid).codec !== codecs.raw)
        ahead.push(...linksOf(cid, await this.getBlock(cid, { signal })));
    }
    return [...found];
  }

  async #orAbsent<Result>(cid: Cid, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (isAbsence(error)) throw absent(cid);
      throw this.#failure(error);
    }
  }

  async #told<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): unknown {
    if (error instanceof KuboRefusal) {
      const isFull = /no space left|disk quota/.test(error.message);
      return new GitdError(
        isFull ? "storage-full" : "storage-unavailable",
        `Kubo refuses: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    return error instanceof Error && error.name === "TimeoutError"
      ? new GitdError("storage-unavailable", "the Kubo daemon did not answer in time", { cause: error })
      : error;
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof KuboRefusal && /not found|could not find/.test(error.message);
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(callMsMax)]);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
