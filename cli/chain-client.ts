import {
  Contract,
  type ContractTransactionResponse,
  Interface,
  JsonRpcProvider,
  Signature,
  type Wallet,
  isError,
} from "ethers";
import { accessBondAbi } from "../contracts/artifacts/AccessBond.ts";
import { codexAbi } from "../contracts/artifacts/Codex.ts";
import { provenanceRegistryAbi } from "../contracts/artifacts/ProvenanceRegistry.ts";
import { GitdError } from "../server/domain/errors.ts";
import type { Address, Bytes32 } from "../server/domain/ids.ts";
import type { ServerInfo } from "./client.ts";

/** The contract's base units (18 decimals) in one µCODEX. */
const unitsPerMicro = 10n ** 12n;
/**
 * Long, because the embedded chain, should it lose its state, is given the same transactions again. Harmless: the
 * contract takes only from whoever calls it, and a permit's nonce is used up with it.
 */
const permitSeconds = 10n * 365n * 86_400n;
const minedMs = 120_000;

export type ContractAddresses = Pick<ServerInfo, "registry" | "accessBond" | "codex">;

/** What a wallet does on chain. Amounts are µCODEX; every call waits until its transaction is mined. */
export class ChainClient implements Disposable {
  readonly #provider: JsonRpcProvider;
  readonly #wallet: Wallet;
  readonly #registry: Contract;
  readonly #bonds: Contract;
  readonly #codex: Contract;

  constructor(rpcUrl: string, addresses: ContractAddresses, wallet: Wallet) {
    this.#provider = new JsonRpcProvider(rpcUrl, undefined, { batchMaxCount: 1, cacheTimeout: -1 });
    this.#wallet = wallet.connect(this.#provider);
    this.#registry = new Contract(addresses.registry, provenanceRegistryAbi, this.#wallet);
    this.#bonds = new Contract(addresses.accessBond, accessBondAbi, this.#wallet);
    this.#codex = new Contract(addresses.codex, codexAbi, this.#wallet);
  }

  /** µCODEX in the wallet. */
  async balance(): Promise<bigint> {
    return (
      ((await this.#codex.getFunction("balanceOf").staticCall(this.#wallet.address)) as bigint) /
      unitsPerMicro
    );
  }

  /** Opens a Bond with one transaction: the token's permit is signed, not sent. Returns the Bond's id. */
  async openBond(amount: bigint, lockSeconds: bigint, pool: Bytes32): Promise<bigint> {
    const value = amount * unitsPerMicro;
    const deadline = BigInt(Math.floor(Date.now() / 1000)) + permitSeconds;
    const { v, r, s } = Signature.from(await this.#signPermit(value, deadline));
    const receipt = await this.#mined(() =>
      this.#bonds.getFunction("openBondWithPermit").send(value, lockSeconds, pool, deadline, v, r, s),
    );
    const ours = (await this.#bonds.getAddress()).toLowerCase();
    for (const log of receipt.logs.filter(({ address }) => address.toLowerCase() === ours)) {
      const event = this.#bonds.interface.parseLog(log);
      if (event?.name === "BondOpened") return event.args["bond"] as bigint;
    }
    throw new GitdError("internal", "the transaction was mined but opened no bond");
  }

  async topUp(bond: bigint, amount: bigint): Promise<void> {
    const value = amount * unitsPerMicro;
    const spender = await this.#bonds.getAddress();
    await this.#mined(() => this.#codex.getFunction("approve").send(spender, value));
    await this.#mined(() => this.#bonds.getFunction("topUp").send(bond, value));
  }

  async extendLock(bond: bigint, newEnd: bigint): Promise<void> {
    await this.#mined(() => this.#bonds.getFunction("extendLock").send(bond, newEnd));
  }

  async requestThaw(bond: bigint, amount: bigint): Promise<void> {
    await this.#mined(() => this.#bonds.getFunction("requestThaw").send(bond, amount * unitsPerMicro));
  }

  async withdraw(bond: bigint, to: Address): Promise<void> {
    await this.#mined(() => this.#bonds.getFunction("withdraw").send(bond, to));
  }

  /** Voids every Grant signed under the Bond so far. */
  async bumpEpoch(bond: bigint): Promise<void> {
    await this.#mined(() => this.#bonds.getFunction("bumpEpoch").send(bond));
  }

  async claimNamespace(name: string): Promise<void> {
    await this.#mined(() => this.#registry.getFunction("claimNamespace").send(name));
  }

  [Symbol.dispose](): void {
    this.#provider.destroy();
  }

  async #signPermit(value: bigint, deadline: bigint): Promise<string> {
    const { chainId } = await this.#provider.getNetwork();
    const verifyingContract = await this.#codex.getAddress();
    const name = (await this.#codex.getFunction("name").staticCall()) as string;
    const owner = this.#wallet.address;
    const nonce = (await this.#codex.getFunction("nonces").staticCall(owner)) as bigint;
    const types = ["owner address", "spender address", "value uint256", "nonce uint256", "deadline uint256"];
    return this.#wallet.signTypedData(
      { name, version: "1", chainId, verifyingContract },
      {
        Permit: types.map((entry) => ({
          name: entry.split(" ")[0] as string,
          type: entry.split(" ")[1] as string,
        })),
      },
      { owner, spender: await this.#bonds.getAddress(), value, nonce, deadline },
    );
  }

  async #mined(send: () => Promise<ContractTransactionResponse>) {
    try {
      const receipt = await (await send()).wait(1, minedMs);
      if (receipt === null) throw new GitdError("chain-unavailable", "the transaction was not mined");
      return receipt;
    } catch (error) {
      throw explained(error);
    }
  }
}

const interfaces = [accessBondAbi, provenanceRegistryAbi, codexAbi].map((abi) => new Interface(abi));

/** What a contract's refusal means to a person; the names are the contracts' own. */
const meanings: Readonly<Record<string, readonly [message: string, fix: string]>> = {
  Locked: ["the deposit is still locked", "wait until the lock ends: gitd bond status"],
  NotThawed: [
    "nothing has thawed yet",
    "ask for it first: gitd bond thaw <ID> <CODEX>, then wait seven days",
  ],
  ThawExceeds: ["more is asked back than the bond has free", "see what it has: gitd bond status"],
  LockInvalid: ["a lock can only be moved further away, at most four years from now", "choose a later end"],
  NotBondOwner: ["this bond is not yours", "see yours: gitd bond status"],
  BondUnknown: ["there is no such bond", "see yours: gitd bond status"],
  PoolUnknown: ["there is no such pool", "leave --pool out to use the default one"],
  NamespaceTaken: ["this namespace is taken", "choose another name"],
  NamespaceInvalid: [
    "a namespace has 3 to 39 lower-case letters, digits and single inner hyphens",
    "choose such a name",
  ],
  ERC20InsufficientBalance: ["the wallet has not enough CODEX", "on the embedded chain: gitd faucet"],
  ERC20InsufficientAllowance: ["the wallet has not enough CODEX", "on the embedded chain: gitd faucet"],
};

function explained(error: unknown): unknown {
  if (isError(error, "INSUFFICIENT_FUNDS")) {
    return new GitdError("invalid", "the wallet cannot pay for gas", {
      fix: "on the embedded chain: gitd faucet",
      cause: error,
    });
  }
  if (isError(error, "NETWORK_ERROR") || isError(error, "TIMEOUT") || isError(error, "SERVER_ERROR")) {
    return new GitdError("chain-unavailable", "the chain does not answer", {
      fix: "check GITD_CHAIN_RPC",
      cause: error,
    });
  }
  if (!isError(error, "CALL_EXCEPTION")) return error;
  const data = error.data;
  const name = data == null ? undefined : interfaces.map((one) => one.parseError(data)?.name).find(Boolean);
  const [message, fix] = meanings[name ?? ""] ?? [
    `the contract refuses: ${name ?? error.shortMessage}`,
    "check the command's arguments",
  ];
  return new GitdError("invalid", message, { fix, cause: error });
}
