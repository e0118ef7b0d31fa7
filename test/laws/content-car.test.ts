import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CarReader } from "@ipld/car";
import { carOf } from "../../server/content/car.ts";
import { linksOf } from "../../server/content/dag-links.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { type DagBlock, encodeBlock, linkOf } from "../../server/domain/dag-block.ts";
import type { Cid } from "../../server/domain/ids.ts";
import { absentCid, collect, fails, mib, noise, soon } from "./content.laws.ts";

describe("a CAR", function () {
  this.timeout(60_000);
  let directory: string;
  let store: FlatStore;
  let file: Cid;
  let leaves: Cid[];
  let page: DagBlock;
  let first: DagBlock;
  let second: DagBlock;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "gitd-car-"));
    store = await openFlatStore({ directory });
    const source = join(directory, "source");
    await writeFile(source, Buffer.concat([noise(mib), noise(mib), noise(5)]));
    file = (await store.addFile(source, soon())).cid;
    leaves = [...new Set(linksOf(file, await store.getBlock(file, soon())))];
    page = encodeBlock({ entries: [["pack", { cid: linkOf(file) }]] });
    first = encodeBlock({ seq: 1, previous: null, packs: linkOf(page.cid) });
    second = encodeBlock({ seq: 2, previous: linkOf(first.cid), packs: linkOf(page.cid) });
    await store.putBlocks(new Map([page, first, second].map(({ cid, bytes }) => [cid, bytes])), soon());
  });
  after(async () => {
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  async function read(root: Cid, options: object = {}): Promise<string[]> {
    const reader = await CarReader.fromBytes(await collect(carOf(store, root, { ...soon(), ...options })));
    assert.deepEqual((await reader.getRoots()).map(String), [root]);
    const cids: string[] = [];
    for await (const { cid, bytes } of reader.blocks()) {
      cids.push(cid.toString());
      assert.ok(Buffer.from(bytes).equals(await store.getBlock(cid.toString() as Cid, soon())));
    }
    return cids;
  }

  it("has a file's blocks, the root first and each once", async () => {
    assert.equal(leaves.length, 2);
    assert.deepEqual(await read(file), [file, ...leaves]);
  });

  it("has a Manifest and what it links to, depth first, without the packs", async () => {
    assert.deepEqual(await read(second.cid), [second.cid, page.cid, first.cid]);
  });

  it("has the packs when asked to follow files", async () => {
    const all = [second.cid, page.cid, file, ...leaves, first.cid];
    assert.deepEqual(await read(second.cid, { follow: "files" }), all);
  });

  it("goes as deep as asked", async () => {
    assert.deepEqual(await read(second.cid, { depth: 0, follow: "files" }), [second.cid]);
    assert.deepEqual(await read(second.cid, { depth: 1, follow: "files" }), [
      second.cid,
      page.cid,
      first.cid,
    ]);
  });

  it("breaks off past its limit of blocks", async () => {
    await assert.rejects(read(file, { blocksMax: 2 }), fails("too-large"));
  });

  it("fails before the first byte when the root is absent", async () => {
    const bytes = carOf(store, absentCid, soon());
    await assert.rejects(bytes.next(), fails("not-found"));
  });

  it("breaks off where a block below is absent", async () => {
    const dangling = encodeBlock({ link: linkOf(absentCid) });
    await store.putBlocks(new Map([[dangling.cid, dangling.bytes]]), soon());
    assert.deepEqual(await read(dangling.cid), [dangling.cid]);
    await assert.rejects(read(dangling.cid, { follow: "files" }), fails("not-found"));
  });

  it("is refused for bytes that are no DAG-CBOR or DAG-PB", () => {
    assert.throws(() => linksOf(page.cid, noise(100)), fails("content-mismatch"));
    assert.throws(() => linksOf(file, noise(100)), fails("content-mismatch"));
    const nested = Buffer.concat([Buffer.alloc(500_000, 0x81), Buffer.of(0xf6)]);
    assert.throws(() => linksOf(page.cid, nested), fails("content-mismatch"));
  });
});
