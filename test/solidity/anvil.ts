import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { JsonRpcProvider, Wallet } from "ethers";
import { type Deployment, deploy } from "../../contracts/deploy.ts";

/** The first account that anvil funds; its key is in anvil's manual. */
const fundedKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const startMs = 15_000;
const killAfterMs = 5_000;

/** A fresh chain of its own, with the contracts on it. */
export class Anvil implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly provider: JsonRpcProvider;
  /** Owner of the contracts, recorder, and minter of CODEX. */
  readonly owner: Wallet;
  readonly contracts: Deployment;

  private constructor(child: ChildProcess, provider: JsonRpcProvider, owner: Wallet, contracts: Deployment) {
    this.#child = child;
    this.provider = provider;
    this.owner = owner;
    this.contracts = contracts;
  }

  static async start(thawSeconds = 7 * 24 * 3600): Promise<Anvil> {
    const child = spawn(anvilPath(), ["--host", "127.0.0.1", "--port", "0", "--accounts", "1"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const provider = new JsonRpcProvider(await listening(child), undefined, {
        cacheTimeout: -1,
        staticNetwork: true,
        pollingInterval: 20,
      });
      const owner = new Wallet(fundedKey, provider);
      return new Anvil(child, provider, owner, await deploy(owner, { recorder: owner.address, thawSeconds }));
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.provider.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), killAfterMs);
    await gone;
    clearTimeout(timer);
  }
}

async function listening(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("anvil has no output");
  const lines = createInterface({ input: child.stdout });
  const timer = setTimeout(() => child.kill("SIGKILL"), startMs);
  try {
    for await (const line of lines) {
      const address = /^Listening on (127\.0\.0\.1:[0-9]+)$/.exec(line)?.[1];
      if (address !== undefined) return `http://${address}`;
    }
  } finally {
    clearTimeout(timer);
    child.stdout.resume();
  }
  throw new Error(`anvil did not listen within ${startMs} ms`);
}

function anvilPath(): string {
  const machine = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const require = createRequire(createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json"));
  return join(dirname(require.resolve(`@foundry-rs/anvil-${machine}/package.json`)), "bin", "anvil");
}
