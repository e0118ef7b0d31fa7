import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { isGitdError } from "../../server/domain/errors.ts";
import { PackMeter } from "../../server/flows/pack-meter.ts";

const packet = (payload: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, "0")), bytes]);
};
const band = (number: number, data: Uint8Array): Buffer => packet(Buffer.concat([Buffer.of(number), data]));
const pack = (objects: number, rest: Uint8Array): Buffer => {
  const header = Buffer.from("PACK\0\0\0\x02\0\0\0\0", "latin1");
  header.writeUInt32BE(objects, 8);
  return Buffer.concat([header, rest]);
};

function response(content: Buffer, pieceBytes: number): Buffer {
  const parts = [packet("acknowledgments\n"), packet("NAK\n"), Buffer.from("0001"), packet("packfile\n")];
  for (let at = 0; at < content.length; at += pieceBytes) {
    parts.push(band(2, Buffer.from("Counting objects")), band(1, content.subarray(at, at + pieceBytes)));
  }
  return Buffer.concat([...parts, Buffer.from("0000")]);
}

function run(meter: PackMeter, bytes: Buffer, chunkBytes: number): Buffer {
  const out: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    out.push(meter.pass(bytes.subarray(at, at + chunkBytes)));
    meter.confirm();
  }
  return Buffer.concat(out);
}

describe("the meter of a fetch", () => {
  it("counts and hashes exactly the pack, however it is cut into packets and chunks", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 2000 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 700 }),
        (rest, pieceBytes, chunkBytes) => {
          const content = pack(3, rest);
          const meter = new PackMeter(undefined);
          const wire = response(content, pieceBytes);
          assert.deepEqual(run(meter, wire, chunkBytes), wire);
          assert.equal(meter.packBytes, BigInt(content.length));
          assert.equal(meter.digestHex(), createHash("sha256").update(content).digest("hex"));
          assert.equal(meter.hasObjects, true);
        },
      ),
    );
  });

  it("finds a pack without side-band", () => {
    const content = pack(1, Buffer.from("abcdef"));
    const wire = Buffer.concat([packet("NAK\n"), content]);
    for (const chunkBytes of [1, 3, 8, 9, 100]) {
      const meter = new PackMeter(undefined);
      assert.deepEqual(run(meter, wire, chunkBytes), wire);
      assert.deepEqual(
        [meter.packBytes, meter.hasObjects, meter.isRaw],
        [BigInt(content.length), true, true],
      );
    }
  });

  it("sees that nothing, or an empty pack, was sent", () => {
    const none = new PackMeter(undefined);
    run(none, Buffer.concat([packet("acknowledgments\n"), packet("NAK\n"), Buffer.from("0000")]), 7);
    assert.deepEqual([none.hasObjects, none.packBytes], [false, 0n]);
    const empty = new PackMeter(undefined);
    run(empty, response(pack(0, Buffer.alloc(20)), 100), 9);
    assert.equal(empty.hasObjects, false);
  });

  it("cuts between two packets where the limit is met", () => {
    const content = pack(1, Buffer.alloc(1000, 1));
    const meter = new PackMeter(250n);
    const sent = run(meter, response(content, 100), 33);
    assert.equal(meter.isCut, true);
    assert.equal(meter.packBytes, 200n);
    const again = new PackMeter(undefined);
    assert.deepEqual(run(again, sent, 1), sent, "what was sent ends with a whole packet");
  });

  it("counts only what was confirmed as sent", () => {
    const meter = new PackMeter(undefined);
    meter.pass(response(pack(1, Buffer.alloc(50)), 100));
    assert.equal(meter.packBytes, 0n);
  });

  it("fails on what is not pkt-line", () => {
    assert.throws(
      () => new PackMeter(undefined).pass(Buffer.from("zzzz hello")),
      (error) => isGitdError(error, "internal"),
    );
  });
});
