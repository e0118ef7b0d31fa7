import assert from "node:assert/strict";
import fc from "fast-check";
import { isGitdError } from "../../server/domain/errors.ts";
import { encodeBlock, linkOf } from "../../server/domain/dag-block.ts";
import type { Cid } from "../../server/domain/ids.ts";
import {
  buildSortedMap,
  getFromSortedMap,
  pagesOfSortedMap,
  readSortedMap,
  updateSortedMap,
} from "../../server/domain/sorted-map.ts";
import type { ValueCodec } from "../../server/domain/sorted-map-page.ts";

const numbers: ValueCodec<number> = {
  encode: (value) => value,
  parse: (value) => {
    assert.equal(typeof value, "number");
    return value as number;
  },
};

function store(...maps: ReadonlyMap<Cid, Uint8Array>[]): {
  load: (cid: Cid) => Promise<Uint8Array>;
  loads: () => number;
} {
  const all = new Map(maps.flatMap((map) => [...map]));
  let loads = 0;
  return {
    load: async (cid) => {
      loads += 1;
      const bytes = all.get(cid);
      assert.ok(bytes, `page ${cid} was not kept`);
      return bytes;
    },
    loads: () => loads,
  };
}

async function entriesOf(root: Cid, load: (cid: Cid) => Promise<Uint8Array>): Promise<[string, number][]> {
  const read: [string, number][] = [];
  for await (const [key, value] of readSortedMap(root, numbers, load)) read.push([key, value]);
  return read;
}

const names = (count: number): [string, number][] =>
  Array.from({ length: count }, (_, at) => [`refs/heads/topic-${at * 7}`, at]);
const sorted = (entries: Iterable<[string, number]>): [string, number][] =>
  [...new Map(entries)].sort((a, b) => (a[0] < b[0] ? -1 : 1));
const number = fc.nat(1000);
// NOTE: keys from a pool of 4,000, so that maps of several levels overlap with the changes made to them.
const key = fc.nat(4000).map((at) => `refs/tags/v${at}`);

describe("a sorted map", () => {
  it("gives back its entries in order", async () => {
    for (const count of [0, 1, 2, 127, 128, 129, 5000]) {
      const { root, blocks } = buildSortedMap(names(count).reverse(), numbers);
      assert.deepEqual(await entriesOf(root, store(blocks).load), sorted(names(count)));
    }
  });

  it("has one root for one set of entries, whatever order and history they had", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, number), { maxLength: 3000, size: "max" }),
        fc.array(fc.tuple(key, fc.option(number, { nil: undefined })), { maxLength: 600, size: "max" }),
        fc.boolean(),
        async (entries, changes, removeMost) => {
          const before = buildSortedMap(entries, numbers);
          const change = new Map<string, number | undefined>(changes);
          if (removeMost) for (const [name] of entries.slice(3)) change.set(name, undefined);
          const updated = await updateSortedMap(before.root, change, numbers, store(before.blocks).load);
          const wanted = new Map(entries);
          for (const [name, value] of change) {
            if (value === undefined) wanted.delete(name);
            else wanted.set(name, value);
          }
          const rebuilt = buildSortedMap(wanted, numbers);
          assert.equal(updated.root, rebuilt.root);
          for (const [cid, bytes] of updated.blocks) {
            assert.deepEqual(rebuilt.blocks.get(cid), bytes, "an update returns only pages of the new tree");
          }
          const { load } = store(before.blocks, updated.blocks);
          assert.deepEqual(await entriesOf(updated.root, load), sorted(wanted));
        },
      ),
      { numRuns: 60 },
    );
  }).timeout(60_000);

  it("keeps that law where chosen names avoid every natural cut", async () => {
    const long = (at: number): string => `refs/${"x".repeat(3000)}${at}`;
    const entries = Array.from({ length: 400 }, (_, at): [string, number] => [long(at), at]);
    const before = buildSortedMap(entries, numbers);
    const change = new Map<string, number | undefined>([
      [long(17), undefined],
      [`${long(200)}a`, 5],
    ]);
    const updated = await updateSortedMap(before.root, change, numbers, store(before.blocks).load);
    const wanted = new Map(entries);
    wanted.delete(long(17));
    wanted.set(`${long(200)}a`, 5);
    assert.equal(updated.root, buildSortedMap(wanted, numbers).root);
    for (const bytes of before.blocks.values()) assert.ok(bytes.length < 256 * 1024);
  });

  it("rewrites few pages and few bytes for one change among 50,000", async () => {
    const before = buildSortedMap(names(50_000), numbers);
    for (const change of [
      ["refs/heads/topic-7", 99],
      ["refs/heads/new", 1],
      ["refs/heads/topic-70007", undefined],
    ] as const) {
      const kept = store(before.blocks);
      const { blocks } = await updateSortedMap(before.root, new Map([change]), numbers, kept.load);
      const bytes = [...blocks.values()].reduce((sum, page) => sum + page.length, 0);
      assert.ok(blocks.size <= 6, `${blocks.size} pages written`);
      assert.ok(kept.loads() <= 12, `${kept.loads()} pages read`);
      assert.ok(bytes < 96 * 1024, `${bytes} bytes written`);
    }
  });

  it("writes nothing for a change that changes nothing", async () => {
    const before = buildSortedMap(names(1000), numbers);
    const change = new Map<string, number | undefined>([
      ["refs/heads/topic-7", 1],
      ["refs/heads/absent", undefined],
    ]);
    const after = await updateSortedMap(before.root, change, numbers, store(before.blocks).load);
    assert.deepEqual([after.root, after.blocks.size], [before.root, 0]);
  });

  it("finds one key, and names all its pages", async () => {
    const { root, blocks } = buildSortedMap(names(20_000), numbers);
    const { load } = store(blocks);
    assert.equal(await getFromSortedMap(root, "refs/heads/topic-7000", numbers, load), 1000);
    assert.equal(await getFromSortedMap(root, "refs/heads/topic-1", numbers, load), undefined);
    assert.equal(await getFromSortedMap(root, "zzz", numbers, load), undefined);
    assert.deepEqual((await pagesOfSortedMap(root, numbers, load)).sort(), [...blocks.keys()].sort());
  });

  it("refuses malformed pages", async () => {
    const leaf = encodeBlock([0, [["a", 1]]]);
    const hostile = [
      encodeBlock({ a: 1 }),
      encodeBlock([0]),
      encodeBlock([-1, []]),
      encodeBlock([99, [["a", linkOf(leaf.cid)]]]),
      encodeBlock([
        0,
        [
          ["b", 1],
          ["a", 2],
        ],
      ]),
      encodeBlock([0, [["a", 1, 2]]]),
      encodeBlock([1, [["a", 1]]]),
      encodeBlock([1, []]),
      encodeBlock([2, [["a", linkOf(leaf.cid)]]]),
      encodeBlock([
        1,
        [
          ["a", linkOf(leaf.cid)],
          ["b", linkOf(leaf.cid)],
        ],
      ]),
      { cid: leaf.cid, bytes: new Uint8Array([0xff, 0x00]) },
    ];
    for (const { cid, bytes } of hostile) {
      const { load } = store(new Map([[leaf.cid, leaf.bytes]]), new Map([[cid, bytes]]));
      await assert.rejects(entriesOf(cid, load), (error) => isGitdError(error, "content-mismatch"));
    }
  });
});
