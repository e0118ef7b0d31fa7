import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Contract, type JsonRpcProvider, NonceManager, Wallet } from "ethers";
import { codexAbi } from "../../contracts/artifacts/Codex.ts";
import { type Deployment, deploy } from "../../contracts/deploy.ts";
import { GitdError } from "../domain/errors.ts";
import { type Address, parseAddress } from "../domain/ids.ts";
import { connect } from "./evm.ts";
import { keyInFile } from "./keys.ts";

export interface EmbeddedChainOptions {
  readonly rpcUrl: string;
  readonly keysFolder: string;
  readonly folder: string;
}

/** Seven days, as a company would have it. */
const thawSeconds = 7 * 24 * 3600;
const oneEther = 10n ** 18n;
const keeperWei = 1_000_000n * oneEther;
const faucetWei = oneEther;
const faucetCodex = 1_000n * oneEther;
/** The faucet stops for whoever has this much. */
const faucetCodexMax = 10_000n * oneEther;

/** What only the embedded chain can do: give out money, and come back from nothing. */
export class EmbeddedChain implements AsyncDisposable {
  readonly recorderKey: string;
  readonly deployment: Deployment;
  readonly #provider: JsonRpcProvider;
  readonly #deployer: NonceManager;
  readonly #recorder: Address;

  private constructor(
    provider: JsonRpcProvider,
    deployer: NonceManager,
    recorderKey: string,
    recorder: Address,
    deployment: Deployment,
  ) {
    this.#provider = provider;
    this.#deployer = deployer;
    this.#recorder = recorder;
    this.recorderKey = recorderKey;
    this.deployment = deployment;
  }

  /**
   * Funds the keeper's accounts and deploys the contracts where that was not done. `replay` sends what an earlier run's
   * chain had, before anything new: the contracts then come back at the addresses they had.
   */
  static async open(
    options: EmbeddedChainOptions,
    replay: (send: (raw: string) => Promise<void>) => Promise<void>,
  ): Promise<EmbeddedChain> {
    const provider = await connect(options.rpcUrl);
    const recorderKey = await keyInFile(join(options.keysFolder, "recorder.key"));
    const deployerKey = await keyInFile(join(options.keysFolder, "deployer.key"));
    const recorder = parseAddress(new Wallet(recorderKey).address);
    const wallet = new Wallet(deployerKey, provider);
    await fund(provider, [wallet.address, recorder]);
    const known = await readDeployment(options.folder);
    if (known !== undefined && (await provider.getCode(known.registry)) === "0x") {
      await replay(async (raw) => void (await provider.broadcastTransaction(raw)));
    }
    const isThere = known !== undefined && (await provider.getCode(known.registry)) !== "0x";
    const deployer = new NonceManager(wallet);
    const deployment = isThere ? known : await deploy(deployer, { recorder, thawSeconds });
    await writeDeployment(options.folder, deployment);
    return new EmbeddedChain(provider, deployer, recorderKey, recorder, deployment);
  }

  /** Gives the keeper's accounts their balance again after the chain lost its state. */
  async fundKeeper(): Promise<void> {
    await fund(this.#provider, [await this.#deployer.getAddress(), this.#recorder]);
  }

  /** Sends test ether for gas and mints test CODEX. Throws `rate-limited` for an account that has plenty. */
  async give(to: Address): Promise<{ readonly codex: bigint }> {
    const codex = new Contract(this.deployment.codex, codexAbi, this.#deployer);
    const balance = (await codex.getFunction("balanceOf").staticCall(to)) as bigint;
    if (balance >= faucetCodexMax) {
      throw new GitdError("rate-limited", `${to} already has ${balance / oneEther} test CODEX`, {
        fix: "use what it has",
      });
    }
    this.#deployer.reset();
    const sent = await this.#deployer.sendTransaction({ to, value: faucetWei });
    const minted = await codex.getFunction("mint").send(to, faucetCodex);
    await sent.wait();
    await minted.wait();
    return { codex: (balance + faucetCodex) / oneEther };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#provider.destroy();
  }
}

async function fund(provider: JsonRpcProvider, accounts: readonly string[]): Promise<void> {
  for (const account of accounts) {
    if ((await provider.getBalance(account)) < keeperWei / 2n) {
      await provider.send("anvil_setBalance", [account, `0x${keeperWei.toString(16)}`]);
    }
  }
}

async function readDeployment(folder: string): Promise<Deployment | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, "deployment.json"), "utf8")) as Deployment;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function writeDeployment(folder: string, deployment: Deployment): Promise<void> {
  const path = join(folder, "deployment.json");
  await writeFile(`${path}.new`, `${JSON.stringify(deployment, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
