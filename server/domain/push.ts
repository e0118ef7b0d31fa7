import type { Address, Bytes32, Cid, ObjectFormat, Oid, RepoId } from "./ids.ts";
import type { Contribution } from "./contribution.ts";

/** One ref's move inside a Push; the zero oid stands for absence on either side. */
export interface RefUpdate {
  readonly ref: string;
  readonly old: Oid;
  readonly new: Oid;
}

/** A ref as clients see it; `peeled` is set for annotated tags. */
export interface Ref {
  readonly name: string;
  readonly oid: Oid;
  readonly peeled?: Oid;
}

/** A pack of a repository, as stored: its Git checksum names it for Git, its Cid for IPFS. */
export interface Pack {
  /** The trailer checksum in hex: `pack-<checksum>.pack`. */
  readonly checksum: string;
  readonly cid: Cid;
  readonly sizeBytes: bigint;
  readonly objects: number;
}

export type ChainState = "queued" | "sent" | "recorded";

/** The canonical statement of one Push; its DAG-CBOR bytes are a block in IPFS. */
export interface PushRecord {
  readonly version: 1;
  readonly chainId: bigint;
  readonly registry: Address;
  readonly repo: RepoId;
  readonly path: string;
  readonly objectFormat: ObjectFormat;
  /** 1 for a repository's first Push; no gaps. */
  readonly seq: bigint;
  /** The chain hash after the previous Push; zero before the first. */
  readonly previous: Bytes32;
  /** The account whose Grant carried the Push. */
  readonly pusher: Address;
  /** Seconds since 1970, the server's clock. */
  readonly time: bigint;
  readonly updates: readonly RefUpdate[];
  readonly pushOptions: readonly string[];
  readonly pack: Cid | null;
  readonly manifest: Cid;
  readonly contributions: readonly Contribution[];
  readonly contributionsRoot: Bytes32;
}
