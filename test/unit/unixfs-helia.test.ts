import assert from "node:assert/strict";
import { unixfs } from "@helia/unixfs";
import type { CID } from "multiformats/cid";
import { FileLayout, leafBytes } from "../../server/content/unixfs-layout.ts";

/** As much of a blockstore as adding a file needs. */
class Blocks {
  readonly #blocks = new Map<string, Uint8Array>();

  put(cid: CID, bytes: Uint8Array): CID {
    this.#blocks.set(cid.toString(), bytes);
    return cid;
  }

  has(cid: CID): boolean {
    return this.#blocks.has(cid.toString());
  }
}

describe("A file's Cid", () => {
  it("is the one that @helia/unixfs gives the same bytes under the profile", async () => {
    const bytes = Buffer.alloc(3 * leafBytes + 7, "gitd");
    const blockstore = new Blocks() as unknown as Parameters<typeof unixfs>[0]["blockstore"];
    const added = await unixfs({ blockstore }).addBytes(bytes, { profile: "unixfs-v1-2025" });
    const layout = new FileLayout({ leaf: () => undefined, node: () => undefined });
    for (let at = 0; at < bytes.length; at += leafBytes) layout.add(bytes.subarray(at, at + leafBytes));
    assert.equal(layout.finish().cid, added.toString());
  });
});
