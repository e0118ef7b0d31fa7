import type { Bond, HoldTerms, Policy, Price, Usage } from "../domain/bond.ts";
import type { Contribution } from "../domain/contribution.ts";
import type { Address, Bytes32, Cid, ObjectFormat, RepoId, RepoPath } from "../domain/ids.ts";
import type { ChainState, Pack, Ref, RefUpdate } from "../domain/push.ts";
import type { Receipt } from "../domain/receipt.ts";

export interface Repository {
  readonly id: RepoId;
  readonly path: RepoPath;
  readonly owner: Address;
  readonly objectFormat: ObjectFormat;
  /** The ref that HEAD stands for, such as `refs/heads/main`. */
  readonly head: string;
  readonly policy: Policy;
  readonly price: Price;
  /** Grows by one with every change of refs, packs or HEAD; caches are named by it. */
  readonly version: bigint;
  /** Number of Pushes so far. */
  readonly seq: bigint;
  /** Chain hash after the last Push. */
  readonly chainHead: Bytes32;
  readonly manifest: Cid | null;
  readonly createdAt: bigint;
}

export interface NewRepository {
  readonly path: RepoPath;
  readonly owner: Address;
  readonly objectFormat: ObjectFormat;
  readonly head: string;
  readonly policy: Policy;
  readonly price: Price;
}

/** Everything that one Push changes, committed at once or not at all. */
export interface PushCommit {
  readonly repo: RepoId;
  /** The version the Push was prepared against. */
  readonly version: bigint;
  readonly seq: bigint;
  readonly previous: Bytes32;
  readonly chainHead: Bytes32;
  readonly record: Cid;
  readonly manifest: Cid;
  readonly contributionsRoot: Bytes32;
  readonly pusher: Address;
  readonly time: bigint;
  readonly updates: readonly (RefUpdate & { readonly peeled?: Ref["oid"] })[];
  readonly pack: Pack | undefined;
  readonly contributions: readonly Contribution[];
  /** Further Cids that the repository owns from now on, as {@link RepositoryLedger.noteBlocks} takes them. */
  readonly blocks?: readonly Cid[];
  /** Set when HEAD follows the first Push. */
  readonly head?: string;
}

export interface PushRow {
  readonly repo: RepoId;
  readonly seq: bigint;
  /** The repository's version after the Push. */
  readonly version: bigint;
  readonly previous: Bytes32;
  readonly chainHead: Bytes32;
  readonly record: Cid;
  readonly manifest: Cid;
  readonly contributionsRoot: Bytes32;
  readonly pusher: Address;
  readonly time: bigint;
  readonly updates: readonly (RefUpdate & { readonly peeled?: Ref["oid"] })[];
  readonly contributions: readonly Contribution[];
  readonly state: ChainState;
  readonly transaction: Bytes32 | null;
  readonly block: bigint | null;
}

/** Whose Push came first, as told by {@link Ledger.commitPush}. */
export type CommitOutcome =
  | { readonly kind: "committed"; readonly repository: Repository }
  | { readonly kind: "stale" }
  | { readonly kind: "ref-moved"; readonly refs: readonly string[] };

export interface HoldRequest {
  readonly id: string;
  readonly grant: Bytes32;
  readonly bond: bigint;
  readonly repo: RepoId;
  readonly nowSeconds: bigint;
  readonly expiresAtSeconds: bigint;
  /** Decides inside the transaction, on usage that cannot change under it; throws to refuse. */
  readonly decide: (bond: Bond, usage: Usage, openHolds: number) => HoldTerms;
}

/** A batch of Pushes as sent to the chain: frozen before it is sent, so that sending again is the same batch. */
export interface Batch {
  readonly id: bigint;
  readonly transaction: Bytes32;
  readonly raw: string;
  readonly nonce: bigint;
  readonly pushes: readonly { readonly repo: RepoId; readonly seq: bigint }[];
}

export interface Cursor {
  readonly block: bigint;
  readonly hash: Bytes32;
}

export interface RepositoryLedger {
  repository(path: RepoPath): Promise<Repository | undefined>;
  repositoryById(id: RepoId): Promise<Repository | undefined>;
  /** Cheap enough for every request: the version alone. */
  repositoryVersion(id: RepoId): Promise<bigint | undefined>;
  repositoriesOf(account: Address, limit: number): Promise<Repository[]>;
  /** Law: throws `conflict` when the path is taken. */
  createRepository(repository: NewRepository, nowSeconds: bigint): Promise<Repository>;
  configure(
    id: RepoId,
    change: { readonly policy?: Policy; readonly price?: Price; readonly head?: string },
  ): Promise<Repository>;
  refs(id: RepoId): Promise<Ref[]>;
  packs(id: RepoId): Promise<Pack[]>;
  /** Law: version, seq and every update's old oid are compared inside the transaction; it is durable when it returns. */
  commitPush(push: PushCommit): Promise<CommitOutcome>;
  /** At most `limit`: with `afterSeq` the oldest first, otherwise the newest first. */
  pushes(
    id: RepoId,
    options: { readonly afterSeq?: bigint; readonly beforeSeq?: bigint; readonly limit: number },
  ): Promise<PushRow[]>;
  /** Updates of all Pushes whose resulting version is above `version`, oldest first. */
  updatesSince(id: RepoId, version: bigint): Promise<PushRow["updates"][number][]>;
  /** The repositories that a Cid belongs to, whether file, tree node, Manifest or record; at most 1,000 of them. */
  repositoriesHolding(cid: Cid): Promise<RepoId[]>;
  /** Notes which Cids a repository owns, beyond its packs, Manifests and records. */
  noteBlocks(id: RepoId, cids: readonly Cid[]): Promise<void>;
  isWriter(id: RepoId, account: Address): Promise<boolean>;
  writers(id: RepoId): Promise<Address[]>;
  setWriter(id: RepoId, account: Address, allowed: boolean): Promise<void>;
  namespaceOwner(namespace: string): Promise<Address | undefined>;
  setNamespaceOwner(namespace: string, owner: Address): Promise<void>;
}

export interface AccessLedger {
  bond(id: bigint): Promise<Bond | undefined>;
  putBond(bond: Bond): Promise<void>;
  bondsOf(account: Address): Promise<Bond[]>;
  usage(bond: bigint, grant: Bytes32 | null, nowSeconds: bigint): Promise<Usage>;
  /** Law: held + posted never exceeds quota, credit or cap, however many call at once; the same id twice holds once. Throws `bond-required` for an unknown bond. */
  hold(request: HoldRequest): Promise<HoldTerms>;
  /**
   * Law: closes the Hold once; the Receipt is inserted in the same transaction; charged and bytes never exceed what was
   * held. Posting again does nothing; posting a Hold that was given back throws `conflict`.
   */
  post(holdId: string, receipt: Receipt): Promise<void>;
  /** Gives back what was held; no error if it is closed already, or was never taken. */
  voidHold(holdId: string): Promise<void>;
  /** Voids Holds past their expiry; returns how many. */
  expireHolds(nowSeconds: bigint): Promise<number>;
  recordFreeRead(receipt: Receipt): Promise<void>;
  /** The newest first. */
  receipts(filter: {
    readonly account?: Address;
    readonly repo?: RepoId;
    readonly limit: number;
  }): Promise<Receipt[]>;
  /** Follows the hash chain of all Receipts so far; throws `content-mismatch` at the first that was changed or removed. */
  verifyReceipts(): Promise<{ readonly count: bigint; readonly head: Bytes32 }>;
  revokeGrant(grant: Bytes32, nowSeconds: bigint): Promise<void>;
  isGrantRevoked(grant: Bytes32): Promise<boolean>;
}

export interface OutboxLedger {
  /** Pushes not yet in a batch, oldest first, at most `limit`; of each repository only a gapless run. */
  queuedPushes(limit: number): Promise<PushRow[]>;
  /** Law: the pushes become `sent` and the batch is durable in one transaction; throws `conflict` if one was taken before. */
  freezeBatch(batch: Omit<Batch, "id">): Promise<Batch>;
  openBatches(): Promise<Batch[]>;
  /** The batch is settled one way or the other: its pushes are `recorded`, or `queued` again. */
  closeBatch(id: bigint): Promise<void>;
  markRecorded(repo: RepoId, seq: bigint, transaction: Bytes32, block: bigint): Promise<void>;
  /** Pushes of a repository after `seq` become `queued` again: the chain lost them. */
  requeueAfter(repo: RepoId, seq: bigint): Promise<number>;
  /** Repositories with a Push recorded at or after `block`. */
  recordedSince(block: bigint): Promise<RepoId[]>;
  cursor(): Promise<Cursor | undefined>;
  setCursor(cursor: Cursor): Promise<void>;
  blockHashAt(block: bigint): Promise<Bytes32 | undefined>;
  keepRawTransactions(block: bigint, raw: readonly string[]): Promise<void>;
  rawTransactionsFrom(block: bigint): Promise<string[]>;
  queueDepth(): Promise<number>;
}

export interface LeaderLock extends AsyncDisposable {
  /** Aborts when the lock was lost. */
  readonly lost: AbortSignal;
}

/** The rows that are true. Refs, packs, receipts and the outbox change together, in one durable transaction. */
export interface Ledger extends RepositoryLedger, AccessLedger, OutboxLedger, AsyncDisposable {
  migrate(): Promise<void>;
  /** Law: at most one holder at any time over all processes; resolves when it is this one. */
  lead(name: string, options: { readonly signal: AbortSignal }): Promise<LeaderLock>;
  ready(): Promise<void>;
}
