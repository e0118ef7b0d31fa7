import { createHash } from "node:crypto";
import type { Bond, HoldTerms } from "../../server/domain/bond.ts";
import { zeroBytes32 } from "../../server/domain/chain-hash.ts";
import {
  type Address,
  type Bytes32,
  type Cid,
  type Oid,
  type RepoId,
  isZeroOid,
  zeroOid,
} from "../../server/domain/ids.ts";
import type { Receipt } from "../../server/domain/receipt.ts";
import type { NewRepository, PushCommit, Repository } from "../../server/ledger/port.ts";

/** Rows for tests of the ledger: well-formed, and each named by what it is made from. */
export const accounts = {
  owner: `0x${"a1".repeat(20)}` as Address,
  writer: `0x${"b2".repeat(20)}` as Address,
  reader: `0x${"c3".repeat(20)}` as Address,
};

export function bytes32(text: string): Bytes32 {
  return `0x${createHash("sha256").update(text).digest("hex")}` as Bytes32;
}

export function oid(text: string): Oid {
  return createHash("sha1").update(text).digest("hex") as Oid;
}

export function cid(text: string): Cid {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  const digest = createHash("sha256").update(text).digest();
  return `bafyrei${[...digest].map((byte) => letters[byte % 32]).join("")}` as Cid;
}

export function newRepository(name: string, owner = accounts.owner): NewRepository {
  return {
    path: { namespace: owner, name },
    owner,
    objectFormat: "sha1",
    head: "refs/heads/main",
    policy: "bonded",
    price: { perCall: 10n, perGib: 1_000n },
  };
}

export function newBond(id: bigint, facts: Partial<Bond> = {}): Bond {
  return {
    id,
    owner: accounts.reader,
    pool: zeroBytes32,
    deposit: 1_000_000_000n,
    thawing: 0n,
    lockEnd: 2_000_000_000n,
    epoch: 0,
    quotaCalls: 1_000_000n,
    quotaBytes: 1n << 50n,
    weight: 1n,
    signers: [],
    ...facts,
  };
}

/** A Push on top of `repository` that moves each ref from where `now` has it (or from nothing) to a new oid. */
export function nextPush(
  repository: Repository,
  refs: readonly string[],
  now: ReadonlyMap<string, Oid> = new Map(),
  salt = "",
): PushCommit {
  const seq = repository.seq + 1n;
  const name = `${repository.id}/${seq}/${salt}`;
  return {
    repo: repository.id,
    version: repository.version,
    seq,
    previous: repository.chainHead,
    chainHead: bytes32(`head/${name}`),
    record: cid(`record/${name}`),
    manifest: cid(`manifest/${name}`),
    contributionsRoot: bytes32(`contributions/${name}`),
    pusher: repository.owner,
    time: 1_800_000_000n + seq,
    updates: refs.map((ref) => ({
      ref,
      old: now.get(ref) ?? zeroOid("sha1"),
      new: oid(`${name}/${ref}`),
    })),
    pack: { checksum: oid(`pack/${name}`), cid: cid(`pack/${name}`), sizeBytes: 1_234n, objects: 3 },
    contributions: [{ author: accounts.writer, name: "Wera Writer", escrow: false, commits: 2 }],
  };
}

/** What refs become by a Push. */
export function applied(now: ReadonlyMap<string, Oid>, push: PushCommit): Map<string, Oid> {
  const after = new Map(now);
  for (const update of push.updates) {
    if (isZeroOid(update.new)) after.delete(update.ref);
    else after.set(update.ref, update.new);
  }
  return after;
}

export function receiptFor(
  access: { id: string; grant: Bytes32 | null; bond: bigint; repo: RepoId; account: Address | null },
  used: HoldTerms,
  facts: Partial<Receipt> = {},
): Receipt {
  return {
    ...access,
    operation: "fetch",
    bytesSent: used.bytes,
    charged: used.amount,
    complete: true,
    contentSha256: "00".repeat(32),
    time: 1_800_000_100n,
    ...facts,
  };
}
