import { decode } from "@ipld/dag-pb";
import { CID } from "multiformats/cid";
import { type Cid, parseCid } from "../domain/ids.ts";
import type { ContentStore } from "../content/port.ts";

const dagPbCode = 0x70;
/** 16 TiB in leaves of 1 MiB: beyond any pack that a push may bring. */
const blocksMax = 16 * 1024 * 1024;

/**
 * The Cids below a file's root: its tree nodes and leaves, which IPFS peers and gateways ask for one by one. Reads the
 * tree nodes alone, one for each GiB. Empty for a file of one leaf.
 */
export async function blocksBelow(
  root: Cid,
  content: Pick<ContentStore, "getBlock">,
  signal: AbortSignal,
): Promise<Cid[]> {
  const found: Cid[] = [];
  const open = isTreeNode(root) ? [root] : [];
  for (let node = open.pop(); node !== undefined && found.length < blocksMax; node = open.pop()) {
    for (const link of decode(await content.getBlock(node, { signal })).Links) {
      const cid = parseCid(link.Hash.toString());
      found.push(cid);
      if (isTreeNode(cid)) open.push(cid);
    }
  }
  return found;
}

function isTreeNode(cid: Cid): boolean {
  return CID.parse(cid).code === dagPbCode;
}
