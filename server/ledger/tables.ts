import type { Generated } from "kysely";
import type { Policy } from "../domain/bond.ts";
import type { Address, Bytes32, Cid, ObjectFormat, Oid } from "../domain/ids.ts";
import type { ChainState } from "../domain/push.ts";
import type { Receipt } from "../domain/receipt.ts";

/**
 * The rows as both engines keep them. Integers are 64-bit and read as bigint, truth values are 0 or 1, lists are JSON
 * text, and hashes, ids and Cids are the same text as in the domain; `repo` is a RepoId.
 */
export interface Tables {
  schema_version: { number: bigint; name: string };
  repositories: RepositoryRow;
  refs: { repo: Bytes32; name: string; oid: Oid; peeled: Oid | null };
  packs: { repo: Bytes32; checksum: string; cid: Cid; size_bytes: bigint; objects: bigint };
  blocks: { cid: Cid; repo: Bytes32 };
  pushes: PushColumns;
  writers: { repo: Bytes32; account: Address };
  namespaces: { name: string; owner: Address };
  bonds: BondRow;
  grant_usage: { grant_digest: Bytes32; charged: bigint };
  revoked_grants: { grant_digest: Bytes32; revoked_at: bigint };
  holds: HoldRow;
  receipts: ReceiptRow;
  unsealed_receipts: { receipt: bigint };
  receipt_chain: { number: bigint; receipt: bigint; previous: Bytes32; hash: Bytes32 };
  receipt_tip: { one: bigint; number: bigint; hash: Bytes32 };
  batches: BatchRow;
  chain_blocks: { number: bigint; hash: Bytes32 };
  raw_transactions: { block: bigint; position: bigint; raw: string };
}

export interface RepositoryRow {
  id: Bytes32;
  /** `<namespace>/<name>`. */
  path: string;
  owner: Address;
  object_format: ObjectFormat;
  head: string;
  policy: Policy;
  price_per_call: bigint;
  price_per_gib: bigint;
  version: bigint;
  seq: bigint;
  chain_head: Bytes32;
  manifest: Cid | null;
  created_at: bigint;
}

export interface PushColumns {
  /** The order of acceptance over all repositories. */
  number: Generated<bigint>;
  repo: Bytes32;
  seq: bigint;
  version: bigint;
  previous: Bytes32;
  chain_head: Bytes32;
  record: Cid;
  manifest: Cid;
  contributions_root: Bytes32;
  pusher: Address;
  time: bigint;
  /** `[[ref, old, new, peeled], …]`. */
  updates: string;
  /** `[[author, name, escrow, commits], …]`. */
  contributions: string;
  state: ChainState;
  batch: bigint | null;
  transaction_hash: Bytes32 | null;
  block: bigint | null;
}

/** The chain's word on a Bond, and beside it what was used of it: one row, so one lock decides. */
export interface BondRow {
  id: bigint;
  owner: Address;
  pool: Bytes32;
  deposit: bigint;
  thawing: bigint;
  lock_end: bigint;
  epoch: bigint;
  quota_calls: bigint;
  quota_bytes: bigint;
  /** Decimal digits: a weight may be wider than 64 bits. */
  weight: string;
  signers: string;
  /** The newest quota period that a Hold was taken in; `used_*` count in it. */
  used_period: bigint;
  used_calls: bigint;
  used_bytes: bigint;
  unsettled: bigint;
  open_holds: bigint;
}

interface HoldRow {
  id: string;
  bond: bigint;
  grant_digest: Bytes32;
  repo: Bytes32;
  period: bigint;
  bytes: bigint;
  amount: bigint;
  expires_at: bigint;
  /** What was taken moves to and from the Bond and the Grant by triggers on this row. */
  state: "open" | "posted" | "void";
  bytes_sent: Generated<bigint>;
  charged: Generated<bigint>;
}

export interface ReceiptRow {
  number: Generated<bigint>;
  id: string;
  grant_digest: Bytes32 | null;
  bond: bigint;
  account: Address | null;
  repo: Bytes32;
  operation: Receipt["operation"];
  bytes_sent: bigint;
  charged: bigint;
  complete: bigint;
  content_sha256: string;
  time: bigint;
}

export interface BatchRow {
  id: Generated<bigint>;
  transaction_hash: Bytes32;
  raw: string;
  nonce: bigint;
  /** `[[repo, seq], …]`. */
  pushes: string;
  is_open: bigint;
}
