import {
  Contract,
  JsonRpcProvider,
  Network,
  Transaction,
  type TransactionReceipt,
  Wallet,
  isError,
} from "ethers";
import { accessBondAbi } from "../../contracts/artifacts/AccessBond.ts";
import { provenanceRegistryAbi } from "../../contracts/artifacts/ProvenanceRegistry.ts";
import type { Bond } from "../domain/bond.ts";
import { authorsListedMax } from "../domain/contribution.ts";
import { seqOfHead } from "../domain/chain-hash.ts";
import { GitdError } from "../domain/errors.ts";
import { type Address, type Bytes32, type RepoId, parseAddress, parseBytes32 } from "../domain/ids.ts";
import { decodeEvents } from "./events.ts";
import type {
  AbortOptions,
  BlockSpan,
  Chain,
  ChainHead,
  PushToRecord,
  SignedTransaction,
  TransactionState,
} from "./port.ts";

export interface EvmOptions {
  readonly rpcUrl: string;
  readonly registry: Address;
  readonly accessBond: Address;
  /** Pays for recording. */
  readonly recorderKey: string;
}

const blocksPerCallMax = 1_000n;
/** µCODEX are the contract's base units (18 decimals) over this. */
const unitsPerMicro = 10n ** 12n;
const gasMarginPercent = 125n;

/** Connects to an EVM chain; throws `chain-unavailable` when it does not answer or the contracts are not there. */
export async function openEvmChain(options: EvmOptions): Promise<EvmChain> {
  const provider = await connect(options.rpcUrl);
  const bonds = new Contract(options.accessBond, accessBondAbi, provider);
  for (const address of [options.registry, options.accessBond]) {
    if ((await provider.getCode(address)) === "0x") {
      throw new GitdError("chain-unavailable", `there is no contract at ${address}`, {
        fix: "check GITD_REGISTRY and GITD_ACCESS_BOND against the chain of GITD_CHAIN_RPC",
      });
    }
  }
  const codex = parseAddress(await bonds.getFunction("CODEX").staticCall());
  return new EvmChain(options, provider, codex);
}

export async function connect(rpcUrl: string): Promise<JsonRpcProvider> {
  const probe = new JsonRpcProvider(rpcUrl, undefined, { batchMaxCount: 1 });
  try {
    const id = BigInt((await probe.send("eth_chainId", [])) as string);
    const network = Network.from(id);
    return new JsonRpcProvider(rpcUrl, network, {
      staticNetwork: network,
      batchMaxCount: 1,
      cacheTimeout: -1,
    });
  } catch (cause) {
    throw new GitdError("chain-unavailable", "the chain does not answer", {
      fix: "check GITD_CHAIN_RPC; pushes are kept and recorded when it is back",
      retryAfterSeconds: 5,
      cause,
    });
  } finally {
    probe.destroy();
  }
}

/** The registry and the Access Bonds over JSON-RPC. */
export class EvmChain implements Chain {
  readonly chainId: bigint;
  readonly registry: Address;
  readonly accessBond: Address;
  readonly codex: Address;
  readonly recorder: Address;
  readonly #provider: JsonRpcProvider;
  readonly #wallet: Wallet;
  readonly #registry: Contract;
  readonly #bonds: Contract;

  constructor(options: EvmOptions, provider: JsonRpcProvider, codex: Address) {
    this.#provider = provider;
    this.#wallet = new Wallet(options.recorderKey, provider);
    this.#registry = new Contract(options.registry, provenanceRegistryAbi, provider);
    this.#bonds = new Contract(options.accessBond, accessBondAbi, provider);
    this.chainId = provider._network.chainId;
    this.registry = options.registry;
    this.accessBond = options.accessBond;
    this.codex = codex;
    this.recorder = parseAddress(this.#wallet.address);
  }

  async signPushes(
    pushes: readonly PushToRecord[],
    nonce: bigint,
    { signal }: AbortOptions,
  ): Promise<SignedTransaction> {
    const registrations = await this.#registrations(pushes);
    const data = this.#registry.interface.encodeFunctionData("commitBatch", [
      registrations,
      pushes.map(pushStruct),
    ]);
    const call = { to: this.registry, from: this.#wallet.address, data };
    let gas: bigint;
    try {
      gas = await this.#provider.estimateGas(call);
    } catch (error) {
      throw this.#refusal(error);
    }
    const fees = await this.#provider.getFeeData();
    signal.throwIfAborted();
    const raw = await this.#wallet.signTransaction({
      to: this.registry,
      data,
      chainId: this.chainId,
      nonce: Number(nonce),
      gasLimit: (gas * gasMarginPercent) / 100n,
      type: 2,
      maxFeePerGas: fees.maxFeePerGas ?? fees.gasPrice ?? 0n,
      maxPriorityFeePerGas: fees.maxPriorityFeePerGas ?? 0n,
    });
    const hash = parseBytes32(Transaction.from(raw).hash);
    return { hash, raw, nonce };
  }

  async send(raw: string, { signal }: AbortOptions): Promise<void> {
    signal.throwIfAborted();
    try {
      await this.#provider.broadcastTransaction(raw);
    } catch (error) {
      const hash = parseBytes32(Transaction.from(raw).hash);
      const state = await this.transactionState(hash, { signal });
      if (state.kind !== "unseen") return;
      if (isError(error, "NONCE_EXPIRED")) {
        throw new GitdError("conflict", "another transaction took this one's nonce", { cause: error });
      }
      throw unavailable(error);
    }
  }

  async transactionState(hash: Bytes32, { signal }: AbortOptions): Promise<TransactionState> {
    signal.throwIfAborted();
    try {
      const receipt: TransactionReceipt | null = await this.#provider.getTransactionReceipt(hash);
      if (receipt !== null) {
        const block = BigInt(receipt.blockNumber);
        if (receipt.status === 1) return { kind: "mined", block, blockHash: parseBytes32(receipt.blockHash) };
        return { kind: "failed", reason: "the registry refused the batch", block };
      }
      const pending = await this.#provider.getTransaction(hash);
      return pending === null ? { kind: "unseen" } : { kind: "pending" };
    } catch (error) {
      throw unavailable(error);
    }
  }

  async nextNonce({ signal }: AbortOptions): Promise<bigint> {
    signal.throwIfAborted();
    return BigInt(await this.#ask(() => this.#provider.getTransactionCount(this.#wallet.address, "latest")));
  }

  async headOf(repo: RepoId, { signal }: AbortOptions): Promise<ChainHead> {
    signal.throwIfAborted();
    const head = parseBytes32(await this.#ask(() => this.#registry.getFunction("headOf").staticCall(repo)));
    return { head, seq: seqOfHead(head) };
  }

  async bond(id: bigint, { signal }: AbortOptions): Promise<Bond | undefined> {
    signal.throwIfAborted();
    const call = (name: string): Promise<unknown> => this.#bonds.getFunction(name).staticCall(id);
    let state: BondStruct;
    try {
      state = (await call("bondOf")) as BondStruct;
    } catch (error) {
      if (isError(error, "CALL_EXCEPTION")) return undefined;
      throw unavailable(error);
    }
    const [[quotaCalls, quotaBytes], weight, signers] = (await this.#ask(() =>
      Promise.all([call("quotaOf"), call("weightOf"), call("signersOf")]),
    )) as [[bigint, bigint], bigint, string[]];
    return {
      id,
      owner: parseAddress(state.owner),
      pool: parseBytes32(state.pool),
      deposit: state.deposit / unitsPerMicro,
      thawing: state.thawing / unitsPerMicro,
      lockEnd: state.lockEnd,
      epoch: Number(state.epoch),
      quotaCalls,
      quotaBytes,
      weight: weight / unitsPerMicro,
      signers: signers.map(parseAddress),
    };
  }

  async latestBlock({ signal }: AbortOptions): Promise<{ number: bigint; hash: Bytes32 }> {
    signal.throwIfAborted();
    const block = await this.#ask(() => this.#provider.getBlock("latest"));
    if (block?.hash == null) throw unavailable(new Error("no latest block"));
    return { number: BigInt(block.number), hash: parseBytes32(block.hash) };
  }

  async blockHash(number: bigint, { signal }: AbortOptions): Promise<Bytes32 | undefined> {
    signal.throwIfAborted();
    const block = await this.#ask(() => this.#provider.getBlock(number));
    return block?.hash == null ? undefined : parseBytes32(block.hash);
  }

  async blocks(
    from: bigint,
    to: bigint,
    { signal, withRaw }: AbortOptions & { readonly withRaw: boolean },
  ): Promise<BlockSpan[]> {
    if (to - from >= blocksPerCallMax) throw new RangeError(`at most ${blocksPerCallMax} blocks at a time`);
    const address = [this.registry, this.accessBond];
    const logs = await this.#ask(() => this.#provider.getLogs({ address, fromBlock: from, toBlock: to }));
    const spans: BlockSpan[] = [];
    for (let number = from; number <= to; number += 1n) {
      signal.throwIfAborted();
      const block = await this.#ask(() => this.#provider.getBlock(number, withRaw));
      if (block?.hash == null) break;
      spans.push({
        number,
        hash: parseBytes32(block.hash),
        timeSeconds: BigInt(block.timestamp),
        events: decodeEvents(logs.filter((log) => BigInt(log.blockNumber) === number)),
        rawTransactions: withRaw
          ? block.prefetchedTransactions.map((transaction) => Transaction.from(transaction).serialized)
          : [],
      });
    }
    return spans;
  }

  async #registrations(pushes: readonly PushToRecord[]) {
    const byRepo = new Map(pushes.map((push) => [push.repo, push]));
    const registrations: { namespace: string; name: string; owner: string }[] = [];
    for (const [repo, { path, owner }] of byRepo) {
      const known = parseAddress(
        await this.#ask(() => this.#registry.getFunction("repositoryOwner").staticCall(repo)),
      );
      if (BigInt(known) === 0n) registrations.push({ ...path, owner });
    }
    return registrations;
  }

  #refusal(error: unknown): GitdError {
    if (!isError(error, "CALL_EXCEPTION")) return unavailable(error);
    const reason = error.data == null ? null : this.#registry.interface.parseError(error.data);
    return new GitdError(
      "conflict",
      `the registry refuses the batch: ${reason?.name ?? error.shortMessage}`,
      { cause: error },
    );
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

interface BondStruct {
  readonly owner: string;
  readonly pool: string;
  readonly deposit: bigint;
  readonly thawing: bigint;
  readonly lockEnd: bigint;
  readonly epoch: bigint;
}

function pushStruct(push: PushToRecord) {
  const authors = push.contributions
    .slice(0, authorsListedMax)
    .map(({ author, commits }) => ({ account: author, commits }));
  const { repo, previous, seq, record, manifest, contributionsRoot, pusher } = push;
  return { repo, previous, seq, record, manifest, contributionsRoot, pusher, authors };
}

function unavailable(cause: unknown): GitdError {
  if (cause instanceof GitdError) return cause;
  return new GitdError("chain-unavailable", "the chain does not answer", { retryAfterSeconds: 5, cause });
}
