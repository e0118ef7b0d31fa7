import { type PBNode, decode as decodePb } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import { CID } from "multiformats/cid";
import { decodeBlock } from "../domain/dag-block.ts";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { cidOfAnyLink, codecs, partsOf } from "./block-check.ts";

const identityCode = 0;

/**
 * The Cids in a block, in the order they stand there: DAG-PB links and DAG-CBOR tags 42; none for other codecs.
 * Identity Cids are left out, as they hold their block themselves. Throws `content-mismatch` for malformed bytes.
 */
export function linksOf(cid: Cid, bytes: Uint8Array): Cid[] {
  switch (partsOf(cid).codec) {
    case codecs.dagPb:
      return decodeNode(cid, bytes).Links.flatMap(({ Hash }) => followed(Hash));
    case codecs.dagCbor:
      return linksIn(decodeBlock(bytes)).flatMap(followed);
    default:
      return [];
  }
}

/** A UnixFS file's block: bytes of its own, then its children with the file bytes below each. */
export interface FileNode {
  readonly data: Uint8Array;
  readonly children: readonly { readonly cid: Cid; readonly fileBytes: number }[];
  readonly fileBytes: number;
}

/** Reads a block of a UnixFS file from anyone's bytes; throws `content-mismatch` for what is none. */
export function fileNodeOf(cid: Cid, bytes: Uint8Array): FileNode {
  const { codec } = partsOf(cid);
  if (codec === codecs.raw) return { data: bytes, children: [], fileBytes: bytes.length };
  if (codec !== codecs.dagPb) throw notFile(cid, "its codec is neither raw nor DAG-PB");
  const node = decodeNode(cid, bytes);
  const file = decodeFile(cid, node.Data);
  if (file.blockSizes.length !== node.Links.length)
    throw notFile(cid, "it does not give a size for each link");
  const children = node.Links.map(({ Hash }, index) => ({
    cid: cidOfAnyLink(Hash),
    fileBytes: Number(file.blockSizes[index] ?? 0n),
  }));
  const data = file.data ?? new Uint8Array();
  const fileBytes = children.reduce((total, child) => total + child.fileBytes, data.length);
  if (!Number.isSafeInteger(fileBytes)) throw notFile(cid, "its size is impossible");
  return { data, children, fileBytes };
}

function decodeNode(cid: Cid, bytes: Uint8Array): PBNode {
  try {
    return decodePb(bytes);
  } catch (cause) {
    throw new GitdError("content-mismatch", `${cid} is not DAG-PB`, { cause });
  }
}

function decodeFile(cid: Cid, data: Uint8Array | undefined): UnixFS {
  if (data === undefined) throw notFile(cid, "it has no UnixFS data");
  let file: UnixFS;
  try {
    file = UnixFS.unmarshal(data);
  } catch (cause) {
    throw notFile(cid, "its UnixFS data is malformed", cause);
  }
  if (file.type !== "file" && file.type !== "raw") throw notFile(cid, `it is a ${file.type}`);
  return file;
}

function notFile(cid: Cid, why: string, cause?: unknown): GitdError {
  return new GitdError("content-mismatch", `${cid} does not name a file: ${why}`, { cause });
}

/** Without recursion, as the nesting is the writer's choice. */
function linksIn(value: unknown): CID[] {
  const found: CID[] = [];
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    const link = CID.asCID(next);
    if (link !== null) found.push(link);
    else if (Array.isArray(next)) open.push(...next.toReversed());
    else if (typeof next === "object" && next !== null && !ArrayBuffer.isView(next)) {
      open.push(...Object.values(next).reverse());
    }
  }
  return found;
}

function followed(link: CID): Cid[] {
  return link.multihash.code === identityCode ? [] : [cidOfAnyLink(link)];
}
