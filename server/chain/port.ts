import type { Bond } from "../domain/bond.ts";
import type { Contribution } from "../domain/contribution.ts";
import type { Address, Bytes32, RepoId, RepoPath } from "../domain/ids.ts";
import type { PushLeaf } from "../domain/chain-hash.ts";

export interface AbortOptions {
  readonly signal: AbortSignal;
}

/** A Push as the outbox hands it to the chain. */
export interface PushToRecord extends PushLeaf {
  readonly path: RepoPath;
  readonly owner: Address;
  readonly contributions: readonly Contribution[];
}

export interface ChainHead {
  readonly head: Bytes32;
  readonly seq: bigint;
}

/** A signed transaction, kept before it is sent, so that sending it again is harmless. */
export interface SignedTransaction {
  readonly hash: Bytes32;
  readonly raw: string;
  readonly nonce: bigint;
}

export type TransactionState =
  | { readonly kind: "unseen" }
  | { readonly kind: "pending" }
  | { readonly kind: "mined"; readonly block: bigint; readonly blockHash: Bytes32 }
  | { readonly kind: "failed"; readonly reason: string; readonly block: bigint };

/** What the indexer reads from blocks, in order. */
export type ChainEvent =
  | {
      readonly kind: "push-recorded";
      readonly repo: RepoId;
      readonly seq: bigint;
      readonly head: Bytes32;
      readonly pusher: Address;
      readonly record: Bytes32;
      readonly manifest: Bytes32;
      readonly transaction: Bytes32;
      readonly block: bigint;
    }
  | {
      readonly kind: "namespace-claimed";
      readonly namespace: string;
      readonly owner: Address;
      readonly block: bigint;
    }
  | {
      readonly kind: "writer-set";
      readonly repo: RepoId;
      readonly account: Address;
      readonly allowed: boolean;
      readonly block: bigint;
    }
  | {
      readonly kind: "repository-created";
      readonly repo: RepoId;
      readonly path: string;
      readonly owner: Address;
      readonly block: bigint;
    }
  | { readonly kind: "bond-changed"; readonly bond: bigint; readonly block: bigint };

export interface BlockSpan {
  readonly number: bigint;
  readonly hash: Bytes32;
  readonly timeSeconds: bigint;
  readonly events: readonly ChainEvent[];
  /** Raw signed transactions of the block; only asked for on the embedded chain, whose loss they heal. */
  readonly rawTransactions: readonly string[];
}

/** The registry and the Access Bonds on one EVM chain. */
export interface Chain {
  readonly chainId: bigint;
  readonly registry: Address;
  readonly accessBond: Address;
  readonly codex: Address;
  /** The account that pays for recording. */
  readonly recorder: Address;
  /** Law: signing changes nothing on chain; the result sent twice has one effect. */
  signPushes(
    pushes: readonly PushToRecord[],
    nonce: bigint,
    options: AbortOptions,
  ): Promise<SignedTransaction>;
  /** Law: sending a transaction that the chain already has is no error. */
  send(raw: string, options: AbortOptions): Promise<void>;
  transactionState(hash: Bytes32, options: AbortOptions): Promise<TransactionState>;
  nextNonce(options: AbortOptions): Promise<bigint>;
  headOf(repo: RepoId, options: AbortOptions): Promise<ChainHead>;
  bond(id: bigint, options: AbortOptions): Promise<Bond | undefined>;
  latestBlock(options: AbortOptions): Promise<{ readonly number: bigint; readonly hash: Bytes32 }>;
  blockHash(number: bigint, options: AbortOptions): Promise<Bytes32 | undefined>;
  /** Blocks `from`..`to`, both included, at most 1,000 at a time. */
  blocks(
    from: bigint,
    to: bigint,
    options: AbortOptions & { readonly withRaw: boolean },
  ): Promise<BlockSpan[]>;
}
