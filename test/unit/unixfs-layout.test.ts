import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { importBytes, importByteStream } from "ipfs-unixfs-importer";
import type { CID } from "multiformats/cid";
import { FileLayout, type Leaf, type TreeNode, leafBytes } from "../../server/content/unixfs-layout.ts";

const mib = 1024 * 1024;
const profile = { profile: "unixfs-v1-2025" } as const;

interface Laid {
  readonly cid: string;
  readonly sizeBytes: bigint;
  readonly leaves: Leaf[];
  readonly nodes: TreeNode[];
}

function layOut(chunks: Iterable<Uint8Array>): Laid {
  const leaves: Leaf[] = [];
  const nodes: TreeNode[] = [];
  const layout = new FileLayout({ leaf: (leaf) => leaves.push(leaf), node: (node) => nodes.push(node) });
  for (const chunk of chunks) layout.add(chunk);
  return { ...layout.finish(), leaves, nodes };
}

function* cut(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length; start += leafBytes)
    yield bytes.subarray(start, start + leafBytes);
}

/** Leaves that differ from one another but cost no memory: one buffer with its number written over the first bytes. */
function* sparse(sizeBytes: number): Generator<Uint8Array, void, undefined> {
  const buffer = Buffer.alloc(leafBytes);
  for (let start = 0; start < sizeBytes; start += leafBytes) {
    buffer.writeUInt32BE(start / leafBytes);
    yield buffer.subarray(0, Math.min(leafBytes, sizeBytes - start));
  }
}

function noise(sizeBytes: number): Uint8Array {
  return createHash("shake256", { outputLength: Math.max(1, sizeBytes) })
    .update("noise")
    .digest()
    .subarray(0, sizeBytes);
}

/** A blockstore for the importer that remembers names of nodes only. */
function namesOnly(nodes: Set<string>): { put(cid: CID, bytes: Uint8Array): CID } {
  return {
    put: (cid, _bytes) => {
      if (cid.code === 0x70) nodes.add(cid.toString());
      return cid;
    },
  };
}

describe("the layout of a file", function () {
  this.timeout(120_000);
  for (const [name, sizeBytes] of [
    ["nothing", 0],
    ["one byte", 1],
    ["a byte less than a leaf", mib - 1],
    ["exactly a leaf", mib],
    ["a byte more than a leaf", mib + 1],
    ["a few leaves and a rest", 3 * mib + 7],
  ] as const) {
    it(`gives ${name} the Cid that ipfs-unixfs-importer gives it`, async () => {
      const bytes = noise(sizeBytes);
      const nodes = new Set<string>();
      const theirs = await importBytes(bytes, namesOnly(nodes), profile);
      const ours = layOut(cut(bytes));
      assert.equal(ours.cid, theirs.cid.toString());
      assert.equal(ours.sizeBytes, BigInt(sizeBytes));
      assert.deepEqual(new Set(ours.nodes.map(({ cid }) => cid as string)), nodes);
    });
  }

  it("names the empty file as ipfs add does", () => {
    assert.equal(layOut([]).cid, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
  });

  for (const [name, sizeBytes] of [
    ["one node more than full", 1025 * mib],
    ["exactly one full node", 1024 * mib],
  ] as const) {
    it(`agrees on a tree of ${name}`, async () => {
      const nodes = new Set<string>();
      const theirs = await importByteStream(copies(sparse(sizeBytes)), namesOnly(nodes), profile);
      const ours = layOut(sparse(sizeBytes));
      assert.equal(ours.cid, theirs.cid.toString());
      assert.deepEqual(new Set(ours.nodes.map(({ cid }) => cid as string)), nodes);
    });
  }

  it("lists the leaves in the file's order, without a gap", () => {
    const { leaves } = layOut(cut(noise(3 * mib + 7)));
    assert.deepEqual(
      leaves.map(({ startBytes, lengthBytes }) => [startBytes, lengthBytes]),
      [
        [0, mib],
        [mib, mib],
        [2 * mib, mib],
        [3 * mib, 7],
      ],
    );
  });

  it("refuses a leaf after a short one", () => {
    assert.throws(() => layOut([new Uint8Array(5), new Uint8Array(5)]), /follows the last/);
  });
});

/** The importer works on several leaves at once, so each needs bytes of its own. */
async function* copies(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield Uint8Array.from(chunk);
}
