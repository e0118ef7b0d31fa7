import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parseAddress } from "../../server/domain/ids.ts";
import { GitHome, type GitOptions } from "./git.ts";
import { type RunResult, gitProcessesBelow, until } from "./processes.ts";
import { type RawRequest, type RawResponse, rawRequest } from "./raw-http.ts";
import { type Service, Wallet } from "./wallet.ts";
import type { World } from "./world.ts";

const serviceSchema = z.object({ chainId: z.coerce.bigint(), accessBond: z.string() });
const pushSchema = z.object({
  seq: z.coerce.number(),
  state: z.string(),
  transaction: z.string().nullable(),
  updates: z.array(z.object({ ref: z.string(), old: z.string(), new: z.string() })),
});
export type LoggedPush = z.infer<typeof pushSchema>;

/** Somebody with a wallet and git, at one server. */
export class Player implements AsyncDisposable {
  readonly world: World;
  readonly home: GitHome;
  readonly wallet: Wallet;
  #service: Service | undefined;

  private constructor(world: World, home: GitHome, wallet: Wallet) {
    this.world = world;
    this.home = home;
    this.wallet = wallet;
  }

  static async at(world: World, wallet = new Wallet()): Promise<Player> {
    return new Player(world, await GitHome.open(), wallet);
  }

  /** Of the server as it is now: it may have been started again at another port. */
  async service(): Promise<Service> {
    if (this.#service?.url !== this.world.url) this.#service = await discoverService(this.world.url);
    return this.#service;
  }

  path(name: string): string {
    return `${this.wallet.address}/${name}`;
  }

  remote(name: string): string {
    return `${this.world.url}/${this.path(name)}.git`;
  }

  async grant(terms: Parameters<Wallet["grant"]>[1] = {}): Promise<string> {
    return this.wallet.grant(await this.service(), terms);
  }

  /** Variables that make git send a Grant with every request. */
  async signedIn(grant?: string): Promise<Record<string, string>> {
    return {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "http.extraHeader",
      GIT_CONFIG_VALUE_0: `Authorization: Bearer ${grant ?? (await this.grant())}`,
    };
  }

  async git(args: readonly string[], options: GitOptions = {}): Promise<RunResult> {
    return this.home.git(args, { ...options, env: { ...(await this.signedIn()), ...options.env } });
  }

  /** What the server shows, as `oid ref`, HEAD left out. */
  async remoteRefs(name: string): Promise<string[]> {
    const { stdout } = await this.git(["ls-remote", this.remote(name)]);
    return stdout
      .split("\n")
      .filter((line) => line !== "" && !line.endsWith("\tHEAD") && !line.endsWith("^{}"))
      .map((line) => line.replace("\t", " "));
  }

  async request(raw: RawRequest): Promise<RawResponse> {
    const authorization = `Bearer ${await this.grant()}`;
    return rawRequest(this.world.url, { ...raw, headers: { authorization, ...raw.headers } });
  }

  /** The repository's log, oldest Push first. */
  async pushes(name: string): Promise<LoggedPush[]> {
    const response = await this.request({
      path: `/api/v1/repositories/${this.path(name)}/pushes?limit=1000`,
    });
    if (response.status !== 200) throw new Error(`log of ${name}: ${response.status} ${response.text}`);
    const { pushes } = z.object({ pushes: z.array(pushSchema) }).parse(JSON.parse(response.text));
    return pushes.sort((a, b) => a.seq - b.seq);
  }

  /** Waits until every Push of the repository is on chain. */
  async recorded(name: string, timeoutMs = 60_000): Promise<LoggedPush[]> {
    return until(
      `every push of ${name} to be on chain`,
      async () => {
        const pushes = await this.pushes(name);
        return pushes.every(({ state }) => state === "recorded" || state === "final") ? pushes : undefined;
      },
      timeoutMs,
      200,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
  }
}

/** What a client asks a server before it signs a Grant for it. */
export async function discoverService(url: string): Promise<Service> {
  const response = await fetch(`${url}/api/v1/info`);
  const { chainId, accessBond } = serviceSchema.parse(await response.json());
  return { url, chainId, accessBond: parseAddress(accessBond) };
}

/** Git processes of all fronts. */
export async function serversGit(world: World): Promise<string[]> {
  const { main } = await world.pids();
  return (await gitProcessesBelow(main)).map(({ command }) => command);
}

/** Every file that holds content: what a refused push must not add to. */
export async function keptFiles(world: World): Promise<string[]> {
  const kept: string[] = [];
  for (const folder of ["content", "cache"]) {
    const entries = await readdir(join(world.dataDir, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && !/\.sqlite(-wal|-shm)?$/.test(path)) kept.push(path);
    }
  }
  return kept.sort();
}
