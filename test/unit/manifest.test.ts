import assert from "node:assert/strict";
import { decode, encode } from "@ipld/dag-cbor";
import fc from "fast-check";
import { contributionsRoot } from "../../server/domain/contribution.ts";
import { cidOfDigest, digestOfCid, encodeBlock, linkOf } from "../../server/domain/dag-block.ts";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Address, type Bytes32, type Oid, repoIdOf } from "../../server/domain/ids.ts";
import {
  type Manifest,
  encodeManifest,
  packCodec,
  parseManifest,
  refCodec,
} from "../../server/domain/manifest.ts";
import type { PushRecord } from "../../server/domain/push.ts";
import { encodeRecord, parseRecord } from "../../server/domain/record.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const cid = fc.anything().map((value) => encodeBlock(JSON.stringify(value) ?? null).cid);
const path = { namespace: "acme", name: "tool" };

const manifests: fc.Arbitrary<Manifest> = fc.record(
  {
    repo: fc.constant(repoIdOf(path)),
    path: fc.constant("acme/tool"),
    objectFormat: fc.constantFrom("sha1" as const, "sha256" as const),
    seq: fc.bigInt(1n, (1n << 40n) - 1n),
    previous: fc.option(cid),
    head: fc.string().map((text) => `refs/heads/${text}`),
    refs: cid,
    packs: cid,
  },
  { noNullPrototype: true },
);

const contributions = fc.array(
  fc.record(
    {
      author: hex(40).map((text) => `0x${text}` as Address),
      name: fc.string(),
      escrow: fc.boolean(),
      commits: fc.integer({ min: 1, max: 1e6 }),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 5 },
);
const oid = hex(40).map((text) => text as Oid);

const records: fc.Arbitrary<PushRecord> = fc
  .record(
    {
      version: fc.constant(1 as const),
      chainId: fc.bigInt(1n, 1n << 40n),
      registry: hex(40).map((text) => `0x${text}` as Address),
      repo: fc.constant(repoIdOf(path)),
      path: fc.constant("acme/tool"),
      objectFormat: fc.constant("sha1" as const),
      seq: fc.bigInt(1n, (1n << 40n) - 1n),
      previous: hex(64).map((text) => `0x${text}` as Bytes32),
      pusher: hex(40).map((text) => `0x${text}` as Address),
      time: fc.bigInt(0n, 1n << 40n),
      updates: fc.array(fc.record({ ref: fc.string(), old: oid, new: oid }, { noNullPrototype: true })),
      pushOptions: fc.array(fc.string()),
      pack: fc.option(cid),
      manifest: cid,
      contributions,
    },
    { noNullPrototype: true },
  )
  .map((record) => ({ ...record, contributionsRoot: contributionsRoot(record.contributions) }));

const mismatch = (error: unknown): boolean => isGitdError(error, "content-mismatch");

describe("a Manifest", () => {
  it("decodes to what was encoded", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        assert.deepEqual(parseManifest(encodeManifest(manifest).bytes), manifest);
      }),
    );
  });

  it("is refused when a field is missing, added, of another type, or its path is another repository's", () => {
    const [manifest] = fc.sample(manifests, 1) as [Manifest];
    const good = decode<Record<string, unknown>>(encodeManifest(manifest).bytes);
    for (const field of Object.keys(good)) {
      for (const value of [undefined, 7.5, "x", new Uint8Array(3), { a: 1 }]) {
        const { [field]: _, ...rest } = good;
        const bad = value === undefined ? rest : { ...rest, [field]: value };
        assert.throws(() => parseManifest(encode(bad)), mismatch, field);
      }
    }
    assert.throws(() => parseManifest(encode({ ...good, extra: 1 })), mismatch);
    assert.throws(() => parseManifest(encode({ ...good, path: "acme/other" })), mismatch);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.throws(() => parseManifest(bytes), mismatch);
      }),
    );
  });

  it("keeps refs and packs as compact values", () => {
    const refs = refCodec("sha1");
    const tag = { oid: "a".repeat(40) as Oid, peeled: "b".repeat(40) as Oid };
    assert.deepEqual(refs.parse(refs.encode(tag)), tag);
    assert.throws(() => refCodec("sha256").parse(refs.encode(tag)), mismatch);
    const pack = { cid: encodeBlock(1).cid, sizeBytes: 5n, objects: 3 };
    assert.deepEqual(packCodec.parse(decode(encode(packCodec.encode(pack)))), pack);
    assert.throws(() => packCodec.parse({ cid: linkOf(pack.cid), size: 5 }), mismatch);
  });
});

describe("a push record", () => {
  it("decodes to what was encoded", () => {
    fc.assert(
      fc.property(records, (record) => {
        assert.deepEqual(parseRecord(encodeRecord(record).bytes), record);
      }),
    );
  });

  it("is refused when its contributions are not those its root stands for", () => {
    const [record] = fc.sample(records, 1) as [PushRecord];
    const author = `0x${"1".repeat(40)}` as Address;
    const forged = { ...record, contributions: [{ author, name: "", escrow: false, commits: 77 }] };
    assert.throws(() => parseRecord(encodeRecord(forged).bytes), mismatch);
  });
});

describe("a Cid on chain", () => {
  it("is its digest, and comes back from it", () => {
    const block = encodeBlock({ a: 1 });
    assert.equal(cidOfDigest(digestOfCid(block.cid)), block.cid);
  });
});
