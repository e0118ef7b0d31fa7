import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { absent } from "../../server/content/block-check.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { type Elsewhere, PeerFilledStore } from "../../server/content/peer-filled.ts";
import { RecentBlocks } from "../../server/content/recent-blocks.ts";
import { encodeBlock } from "../../server/domain/dag-block.ts";
import type { Cid } from "../../server/domain/ids.ts";
import { absentCid, collect, contentLaws, fails, noise, soon } from "./content.laws.ts";

const nowhere: Elsewhere = {
  getBlock: async (cid) => {
    throw absent(cid);
  },
  obtainFile: async (cid) => {
    throw absent(cid);
  },
};

describe("a store filled from peers that have nothing", function () {
  this.timeout(60_000);
  contentLaws(async () => {
    const directory = await mkdtemp(join(tmpdir(), "gitd-filled-"));
    const store = await openFlatStore({ directory });
    return {
      store: new PeerFilledStore(store, nowhere),
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        await rm(directory, { recursive: true });
      },
    };
  });
});

describe("a store filled from peers", function () {
  this.timeout(60_000);
  let directory: string;
  let store: FlatStore;
  const bytes = noise(100, "elsewhere");

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "gitd-filled-"));
    store = await openFlatStore({ directory });
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  async function addHere(): Promise<Cid> {
    const source = join(directory, "source");
    await writeFile(source, bytes);
    const { cid } = await store.addFile(source, soon());
    await rm(source);
    return cid;
  }

  it("fetches once for all who ask, and goes on when one of them leaves", async () => {
    const cid = await addHere();
    await store.removeFile(cid);
    const gate = Promise.withResolvers<void>();
    let fetches = 0;
    const filled = new PeerFilledStore(store, {
      ...nowhere,
      obtainFile: async (_cid, { signal }) => {
        fetches += 1;
        await gate.promise;
        signal.throwIfAborted();
        await addHere();
      },
    });
    const leaver = new AbortController();
    const left = assert.rejects(filled.localPath(cid, { signal: leaver.signal }), { name: "AbortError" });
    const stayed = collect(filled.readFile(cid, soon()));
    leaver.abort();
    await left;
    gate.resolve();
    assert.ok((await stayed).equals(bytes));
    assert.equal(fetches, 1);
  });

  it("stops fetching when all who asked have left, and starts anew for the next", async () => {
    const stopped = Promise.withResolvers<void>();
    let fetches = 0;
    const filled = new PeerFilledStore(store, {
      ...nowhere,
      obtainFile: (cid, { signal }) => {
        fetches += 1;
        if (fetches > 1) throw absent(cid);
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            stopped.resolve();
            reject(signal.reason as Error);
          });
        });
      },
    });
    const leaver = new AbortController();
    const left = assert.rejects(filled.localPath(absentCid, { signal: leaver.signal }), {
      name: "AbortError",
    });
    setImmediate(() => leaver.abort());
    await left;
    await stopped.promise;
    await assert.rejects(filled.localPath(absentCid, soon()), fails("not-found"));
  });

  it("checks blocks from elsewhere", async () => {
    const block = encodeBlock({ from: "elsewhere" });
    const other = encodeBlock({ from: "somewhere else" });
    const filled = new PeerFilledStore(store, { ...nowhere, getBlock: async () => block.bytes });
    assert.deepEqual(await filled.getBlock(block.cid, soon()), block.bytes);
    await assert.rejects(filled.getBlock(other.cid, soon()), fails("content-mismatch"));
  });
});

describe("blocks fetched lately", function () {
  this.timeout(60_000);
  it("are fetched once, and again when they are old", async () => {
    let nowMs = 0;
    let fetches = 0;
    const recent = new RecentBlocks(
      async () => {
        fetches += 1;
        return noise(5);
      },
      () => nowMs,
    );
    const { signal } = soon();
    await Promise.all([recent.get(absentCid, signal), recent.get(absentCid, signal)]);
    nowMs = 5_000;
    await recent.get(absentCid, signal);
    assert.equal(fetches, 1);
    nowMs = 7_000;
    await recent.get(absentCid, signal);
    assert.equal(fetches, 2);
  });

  it("are tried again after a failure", async () => {
    let fetches = 0;
    const recent = new RecentBlocks(async (cid) => {
      fetches += 1;
      if (fetches === 1) throw absent(cid);
      return noise(5);
    });
    await assert.rejects(recent.get(absentCid, soon().signal), fails("not-found"));
    assert.equal((await recent.get(absentCid, soon().signal)).length, 5);
  });
});
