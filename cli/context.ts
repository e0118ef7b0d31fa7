import { homedir } from "node:os";
import { join } from "node:path";
import type { Wallet } from "ethers";
import { describeConfig } from "../server/config.ts";
import { GitdError } from "../server/domain/errors.ts";
import type { Address } from "../server/domain/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { ApiClient } from "./client.ts";
import { LoginFile, mintGrant } from "./grants.ts";
import type { RestoreTools } from "./restore.ts";
import { Terminal } from "./terminal.ts";
import { WalletFolder } from "./wallet.ts";

const ownGrantSeconds = 300n;

/** The CLI's composition root and only reader of its environment; each tool is made when it is first asked for. */
export class Context {
  readonly terminal: Terminal;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #unlocked: Wallet | undefined;

  constructor(
    environment: Readonly<Record<string, string | undefined>>,
    streams: ConstructorParameters<typeof Terminal>[0],
  ) {
    this.#environment = environment;
    this.terminal = new Terminal(streams);
  }

  static ofProcess(): Context {
    return new Context(process.env, process);
  }

  get url(): string {
    return this.#environment["GITD_URL"] || "http://127.0.0.1:8417";
  }

  get home(): string {
    const base =
      this.#environment["XDG_CONFIG_HOME"] || join(this.#environment["HOME"] || homedir(), ".config");
    return this.#environment["GITD_HOME"] || join(base, "gitd");
  }

  get hasPassphrase(): boolean {
    return Boolean(this.#environment["GITD_PASSPHRASE"]);
  }

  /** The environment that a child process of the CLI runs in. */
  get environment(): Readonly<Record<string, string | undefined>> {
    return this.#environment;
  }

  client(url = this.url): ApiClient {
    if (!URL.canParse(url))
      throw new GitdError("invalid", `GITD_URL is '${url}', which is not a URL`, {
        fix: "set it to the server's address",
      });
    return new ApiClient(url);
  }

  wallets(): WalletFolder {
    return new WalletFolder(join(this.home, "wallets"));
  }

  logins(): LoginFile {
    return new LoginFile(join(this.home, "logins.json"));
  }

  async passphrase(question: string): Promise<string> {
    return this.#environment["GITD_PASSPHRASE"] || this.terminal.askSecret(question);
  }

  async address(): Promise<Address> {
    const address = await this.wallets().defaultAddress();
    if (address !== undefined) return address;
    throw new GitdError("invalid", "there is no wallet yet", { fix: "make one: gitd wallet new" });
  }

  /** The default wallet's key; asks for the passphrase once in a run. */
  async wallet(): Promise<Wallet> {
    if (this.#unlocked === undefined) {
      const address = await this.address();
      const passphrase = await this.passphrase(`Passphrase of wallet ${address}`);
      this.#unlocked = await this.wallets().unlock(address, passphrase);
    }
    return this.#unlocked;
  }

  /** A Grant for one administrative request, good for five minutes. */
  async ownGrant(scope: string): Promise<string> {
    const wallet = await this.wallet();
    return mintGrant(wallet, this.client(), { scope, cap: 0n, seconds: ownGrantSeconds, bond: undefined });
  }

  /** The chain as the server names it; GITD_CHAIN_RPC for one whose endpoint the server does not give out. */
  async chain(): Promise<ChainClient> {
    const info = await this.client().info();
    const rpcUrl = this.#environment["GITD_CHAIN_RPC"] || info.rpcUrl;
    if (!rpcUrl) {
      throw new GitdError("chain-unavailable", "the server does not name its chain's endpoint", {
        fix: `set GITD_CHAIN_RPC to an endpoint of chain ${info.chainId}`,
      });
    }
    // NOTE: loaded late, since the chain library takes a tenth of a second, and most commands do without it.
    const { ChainClient: Client } = await import("./chain-client.ts");
    return new Client(rpcUrl, info, await this.wallet());
  }

  serverVariables(): ReturnType<typeof describeConfig> {
    return describeConfig(this.#environment);
  }

  async restoreTools(): Promise<RestoreTools> {
    const { openPeerSource } = await import("../server/content/peers.ts");
    const { fetchFile } = await import("../server/content/fetch-file.ts");
    const { openNativeGit } = await import("../server/git/native.ts");
    return {
      openSource: openPeerSource,
      fetchFile,
      openGit: (folder, signal) => openNativeGit({ folder, path: this.#environment["PATH"] ?? "", signal }),
    };
  }
}
