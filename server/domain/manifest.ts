import { hexToBytes, bytesToHex } from "@noble/hashes/utils.js";
import { z } from "zod";
import { type DagBlock, cidOfLink, decodeBlock, encodeBlock, linkOf } from "./dag-block.ts";
import { GitdError } from "./errors.ts";
import { type Cid, type ObjectFormat, type Oid, type RepoId, keccakText, oidHexLength } from "./ids.ts";
import type { Pack } from "./push.ts";
import type { ValueCodec } from "./sorted-map-page.ts";

/** The content-addressed snapshot of a repository after one Push: names all that is needed to rebuild it. */
export interface Manifest {
  readonly repo: RepoId;
  readonly path: string;
  readonly objectFormat: ObjectFormat;
  readonly seq: bigint;
  /** The Manifest after the previous Push; null for the first. */
  readonly previous: Cid | null;
  /** The ref that HEAD stands for. */
  readonly head: string;
  /** Root of a sorted map from ref name to {@link RefValue}. */
  readonly refs: Cid;
  /** Root of a sorted map from pack checksum to {@link PackValue}. */
  readonly packs: Cid;
}

export interface RefValue {
  readonly oid: Oid;
  readonly peeled: Oid | undefined;
}

export type PackValue = Omit<Pack, "checksum">;

const hash32 = z.string().regex(/^0x[0-9a-f]{64}$/);
const link = z.unknown().transform((value, context): Cid => {
  const cid = cidOfLink(value);
  if (cid !== undefined) return cid;
  context.addIssue({ code: "custom", message: "not a link" });
  return z.NEVER;
});
const count = z
  .union([z.number().int().min(0), z.bigint().min(0n).max(0xff_ffff_ffff_ffffn)])
  .transform((value) => BigInt(value));

const manifestSchema = z.strictObject({
  v: z.literal(1),
  repo: hash32,
  path: z.string().max(200),
  format: z.enum(["sha1", "sha256"]),
  seq: count,
  previous: z.union([z.null(), link]),
  head: z.string().startsWith("refs/").max(4096),
  refs: link,
  packs: link,
});

/** Manifest as a DAG-CBOR block: `{v, repo, path, format, seq, previous, head, refs, packs}`, Cids as links. */
export function encodeManifest(manifest: Manifest): DagBlock {
  const { repo, path, objectFormat, seq, previous, head, refs, packs } = manifest;
  return encodeBlock({
    v: 1,
    repo,
    path,
    format: objectFormat,
    seq,
    previous: previous === null ? null : linkOf(previous),
    head,
    refs: linkOf(refs),
    packs: linkOf(packs),
  });
}

/** Reads a Manifest from anyone's bytes; throws `content-mismatch` if it is malformed or its path is not its repository's. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const parsed = manifestSchema.safeParse(decodeBlock(bytes));
  if (!parsed.success) throw malformed("Manifest", parsed.error);
  const { v: _, format, repo, ...rest } = parsed.data;
  if (keccakText(rest.path) !== repo) throw malformed("Manifest", "its path is another repository's");
  return { ...rest, repo: repo as RepoId, objectFormat: format };
}

/** A ref's oids as bytes, half the size of their hex. */
export function refCodec(format: ObjectFormat): ValueCodec<RefValue> {
  const oid = (value: unknown): Oid => {
    if (value instanceof Uint8Array && value.length * 2 === oidHexLength(format))
      return bytesToHex(value) as Oid;
    throw malformed("ref", "an oid has another length");
  };
  return {
    encode: (ref) =>
      ref.peeled === undefined ? [hexToBytes(ref.oid)] : [hexToBytes(ref.oid), hexToBytes(ref.peeled)],
    parse: (value) => {
      if (!Array.isArray(value) || value.length < 1 || value.length > 2)
        throw malformed("ref", "not one or two oids");
      return { oid: oid(value[0]), peeled: value.length === 2 ? oid(value[1]) : undefined };
    },
  };
}

const packSchema = z.strictObject({ cid: link, size: count, objects: z.number().int().min(0) });

export const packCodec: ValueCodec<PackValue> = {
  encode: (pack) => ({ cid: linkOf(pack.cid), size: pack.sizeBytes, objects: pack.objects }),
  parse: (value) => {
    const parsed = packSchema.safeParse(value);
    if (!parsed.success) throw malformed("pack", parsed.error);
    return { cid: parsed.data.cid, sizeBytes: parsed.data.size, objects: parsed.data.objects };
  },
};

function malformed(what: string, why: unknown): GitdError {
  return new GitdError(
    "content-mismatch",
    `a ${what} is malformed${typeof why === "string" ? `: ${why}` : ""}`,
    { cause: why },
  );
}
