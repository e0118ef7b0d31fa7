import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "@ipld/dag-pb";
import type { ContentStore } from "../../server/content/port.ts";
import { encodeBlock } from "../../server/domain/dag-block.ts";
import { type ErrorCode, isGitdError } from "../../server/domain/errors.ts";
import { type Cid, parseCid } from "../../server/domain/ids.ts";

export const mib = 1024 * 1024;
export const absentCid = parseCid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy");
const emptyCid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

export interface OpenedStore extends AsyncDisposable {
  readonly store: ContentStore;
}

/** Bytes that no two places of share a leaf, the same for the same seed. */
export function noise(sizeBytes: number, seed = "noise"): Buffer {
  const bytes = createHash("shake256", { outputLength: Math.max(1, sizeBytes) })
    .update(seed)
    .digest();
  return bytes.subarray(0, sizeBytes);
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function fails(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isGitdError(error), `not a GitdError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

export function soon(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(20_000) };
}

/** What every content store promises; see `server/content/port.ts`. */
export function contentLaws(open: () => Promise<OpenedStore>): void {
  let opened: OpenedStore | undefined;
  let store: ContentStore;
  let folder: string | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "gitd-content-"));
    opened = await open();
    store = opened.store;
  });
  after(async () => {
    // NOTE: neither is there when the suite was skipped.
    await opened?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  async function add(bytes: Uint8Array): Promise<Cid> {
    const path = join(folder ?? "", createHash("sha256").update(bytes).digest("hex"));
    await writeFile(path, bytes);
    const { cid, sizeBytes } = await store.addFile(path, soon());
    assert.equal(sizeBytes, BigInt(bytes.length));
    await rm(path);
    return cid;
  }

  it("is ready", () => store.ready());

  for (const sizeBytes of [0, 1, mib - 1, mib, mib + 1, 3 * mib + 7]) {
    it(`gives back a file of ${sizeBytes} bytes after its source is gone`, async () => {
      const bytes = noise(sizeBytes);
      const cid = await add(bytes);
      assert.deepEqual(await store.stat(cid), { sizeBytes: BigInt(sizeBytes) });
      assert.ok((await collect(store.readFile(cid, soon()))).equals(bytes));
      assert.ok((await readFile(await store.localPath(cid, soon()))).equals(bytes));
      assert.equal(await store.hasBlock(cid), true);
    });
  }

  it("gives the Cids of the unixfs-v1-2025 profile", async () => {
    assert.equal(await add(new Uint8Array()), emptyCid);
    // What `ipfs add` of Kubo 0.43 prints for it under the profile.
    assert.equal(
      await add(noise(3 * mib + 7)),
      "bafybeihw4a7nwyffaoabq4zvpc3qxomlrqhppwygbh4rtki7vneqgeznai",
    );
  });

  it("gives the same bytes the same Cid, also when two add them at once", async () => {
    const bytes = noise(2 * mib, "twice");
    const path = join(folder ?? "", "twice");
    await writeFile(path, bytes);
    const [first, second] = await Promise.all([store.addFile(path, soon()), store.addFile(path, soon())]);
    assert.equal(first.cid, second.cid);
    assert.equal(await add(bytes), first.cid);
    assert.ok((await collect(store.readFile(first.cid, soon()))).equals(bytes));
  });

  it("reads ranges, within a leaf and across leaves", async () => {
    const bytes = noise(3 * mib + 7, "ranges");
    const cid = await add(bytes);
    for (const [start, end] of [
      [0, 1],
      [5, 5],
      [100, 9000],
      [mib - 3, mib + 3],
      [mib, 2 * mib],
      [17, 3 * mib + 7],
      [3 * mib + 6, 3 * mib + 7],
      [3 * mib + 7, 3 * mib + 7],
    ] as const) {
      const range = { start: BigInt(start), end: BigInt(end) };
      const read = await collect(store.readFile(cid, { ...soon(), range }));
      assert.ok(read.equals(bytes.subarray(start, end)), `${start} to ${end}`);
    }
  });

  for (const [start, end] of [
    [-1n, 1n],
    [3n, 2n],
    [0n, 11n],
  ] as const) {
    it(`refuses the range ${start} to ${end} of a file of ten bytes`, async () => {
      const cid = await add(noise(10));
      const range = { start, end };
      await assert.rejects(collect(store.readFile(cid, { ...soon(), range })), fails("invalid"));
    });
  }

  it("gives each leaf and each tree node of a file as a block", async () => {
    const bytes = noise(3 * mib + 7, "blocks");
    const root = decode(await store.getBlock(await add(bytes), soon()));
    assert.equal(root.Links.length, 4);
    const leaves: Uint8Array[] = [];
    for (const { Hash } of root.Links) {
      const leaf = parseCid(Hash.toString());
      assert.equal(await store.hasBlock(leaf), true);
      leaves.push(await store.getBlock(leaf, soon()));
    }
    assert.ok(Buffer.concat(leaves).equals(bytes));
  });

  it("says not-found for what it lacks, before the first byte", async () => {
    await assert.rejects(store.getBlock(absentCid, soon()), fails("not-found"));
    await assert.rejects(collect(store.readFile(absentCid, soon())), fails("not-found"));
    await assert.rejects(store.localPath(absentCid, soon()), fails("not-found"));
    assert.equal(await store.stat(absentCid), undefined);
    assert.equal(await store.hasBlock(absentCid), false);
  });

  it("keeps small blocks, and takes them again", async () => {
    const below = encodeBlock({ name: "below" });
    const above = encodeBlock({ name: "above", missing: absentCid });
    const blocks = new Map([below, above].map(({ cid, bytes }) => [cid, bytes]));
    await store.putBlocks(blocks, soon());
    await store.putBlocks(blocks, soon());
    for (const [cid, bytes] of blocks) {
      assert.deepEqual(Buffer.from(await store.getBlock(cid, soon())), Buffer.from(bytes));
      assert.equal(await store.hasBlock(cid), true);
    }
  });

  it("refuses a block whose bytes are not its Cid's, and all that came with it", async () => {
    const good = encodeBlock({ name: "good company" });
    const bad = encodeBlock({ name: "bad company" });
    const blocks = new Map([
      [good.cid, good.bytes],
      [bad.cid, good.bytes],
    ]);
    await assert.rejects(store.putBlocks(blocks, soon()), fails("content-mismatch"));
    assert.equal(await store.hasBlock(good.cid), false);
    assert.equal(await store.hasBlock(bad.cid), false);
  });

  it("takes a block of 2 MiB and refuses a larger one", async () => {
    const overhead = encodeBlock(Buffer.alloc(2 * mib)).bytes.length - 2 * mib;
    const largest = encodeBlock(Buffer.alloc(2 * mib - overhead));
    await store.putBlocks(new Map([[largest.cid, largest.bytes]]), soon());
    assert.equal((await store.getBlock(largest.cid, soon())).length, 2 * mib);
    const larger = encodeBlock(Buffer.alloc(2 * mib - overhead + 1));
    await assert.rejects(store.putBlocks(new Map([[larger.cid, larger.bytes]]), soon()), fails("too-large"));
    assert.equal(await store.hasBlock(larger.cid), false);
  });

  it("removes a file with the blocks that only it had", async () => {
    const shared = noise(mib, "shared");
    const doomed = await add(Buffer.concat([shared, noise(mib, "own")]));
    const kept = await add(Buffer.concat([shared, noise(mib, "other")]));
    const [sharedLeaf, ownLeaf] = decode(await store.getBlock(doomed, soon())).Links.map(({ Hash }) =>
      parseCid(Hash.toString()),
    );
    assert.ok(sharedLeaf !== undefined && ownLeaf !== undefined);
    await store.removeFile(doomed);
    assert.equal(await store.stat(doomed), undefined);
    for (const gone of [doomed, ownLeaf]) {
      assert.equal(await store.hasBlock(gone), false);
      await assert.rejects(store.getBlock(gone, soon()), fails("not-found"));
    }
    await assert.rejects(store.localPath(doomed, soon()), fails("not-found"));
    assert.equal((await store.getBlock(sharedLeaf, soon())).length, mib);
    assert.equal((await collect(store.readFile(kept, soon()))).length, 2 * mib);
    await store.removeFile(doomed);
  });

  it("takes a removed file again", async () => {
    const bytes = noise(mib + 5, "again");
    const cid = await add(bytes);
    await store.removeFile(cid);
    assert.equal(await add(bytes), cid);
    assert.ok((await collect(store.readFile(cid, soon()))).equals(bytes));
  });

  it("does nothing for a caller that has left", async () => {
    const cid = await add(noise(mib + 9, "left"));
    const options = { signal: AbortSignal.abort() };
    const { name } = options.signal.reason as Error;
    const block = encodeBlock({ name: "left" });
    await assert.rejects(store.getBlock(cid, options), { name });
    await assert.rejects(collect(store.readFile(cid, options)), { name });
    await assert.rejects(store.addFile(join(folder ?? "", "left"), options), { name });
    await assert.rejects(store.putBlocks(new Map([[block.cid, block.bytes]]), options), { name });
    assert.equal(await store.hasBlock(block.cid), false);
  });

  it("stops reading when the reader does", async () => {
    const cid = await add(noise(3 * mib, "stop"));
    for await (const bytes of store.readFile(cid, soon())) {
      assert.ok(bytes.length > 0);
      break;
    }
  });
}
