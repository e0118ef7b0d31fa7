import { z } from "zod";
import { type Contribution, contributionsRoot } from "./contribution.ts";
import { type DagBlock, cidOfLink, decodeBlock, encodeBlock, linkOf } from "./dag-block.ts";
import { GitdError } from "./errors.ts";
import { type Address, type Bytes32, type RepoId, isOid, oidHexLength } from "./ids.ts";
import type { PushRecord } from "./push.ts";

const address = z.string().regex(/^0x[0-9a-f]{40}$/);
const hash32 = z.string().regex(/^0x[0-9a-f]{64}$/);
const link = z.unknown().transform((value, context) => {
  const cid = cidOfLink(value);
  if (cid !== undefined) return cid;
  context.addIssue({ code: "custom", message: "not a link" });
  return z.NEVER;
});
const count = z
  .union([z.number().int().min(0), z.bigint().min(0n).max(0xffff_ffff_ffff_ffffn)])
  .transform((value) => BigInt(value));
const oid = z.string().refine(isOid);

const recordSchema = z.strictObject({
  v: z.literal(1),
  chainId: count,
  registry: address,
  repo: hash32,
  path: z.string().max(200),
  format: z.enum(["sha1", "sha256"]),
  seq: count,
  previous: hash32,
  pusher: address,
  time: count,
  updates: z.array(z.strictObject({ ref: z.string().max(4096), old: oid, new: oid })).max(100_000),
  pushOptions: z.array(z.string().max(4096)).max(1000),
  pack: z.union([z.null(), link]),
  manifest: link,
  contributions: z
    .array(
      z.strictObject({
        author: address,
        name: z.string().max(1000),
        escrow: z.boolean(),
        commits: z.number().int().min(1),
      }),
    )
    .max(1_000_000),
  contributionsRoot: hash32,
});

/** The record as a DAG-CBOR block. Ids are hex text, so that any IPFS tool shows them as the chain and Git do. */
export function encodeRecord(record: PushRecord): DagBlock {
  const { version, objectFormat, pack, manifest, updates, contributions, ...rest } = record;
  return encodeBlock({
    ...rest,
    v: version,
    format: objectFormat,
    updates: updates.map((update) => ({ ref: update.ref, old: update.old, new: update.new })),
    pack: pack === null ? null : linkOf(pack),
    manifest: linkOf(manifest),
    contributions: contributions.map(({ author, name, escrow, commits }) => ({
      author,
      name,
      escrow,
      commits,
    })),
  });
}

/** Reads a record from anyone's bytes; throws `content-mismatch` if it is malformed or its root is not its contributions'. */
export function parseRecord(bytes: Uint8Array): PushRecord {
  const parsed = recordSchema.safeParse(decodeBlock(bytes));
  if (!parsed.success) throw malformed("", parsed.error);
  const { v, format, updates, contributions, ...rest } = parsed.data;
  if (updates.some((update) => [update.old, update.new].some((id) => id.length !== oidHexLength(format)))) {
    throw malformed(": an oid has another length than the repository's");
  }
  const typed = contributions as (Omit<Contribution, "author"> & { author: Address })[];
  if (contributionsRoot(typed) !== rest.contributionsRoot)
    throw malformed(": its contributions have another root");
  return {
    ...rest,
    version: v,
    objectFormat: format,
    registry: rest.registry as Address,
    repo: rest.repo as RepoId,
    previous: rest.previous as Bytes32,
    pusher: rest.pusher as Address,
    updates,
    contributions: typed,
    contributionsRoot: rest.contributionsRoot as Bytes32,
  };
}

function malformed(why: string, cause?: unknown): GitdError {
  return new GitdError("content-mismatch", `a push record is malformed${why}`, { cause });
}
