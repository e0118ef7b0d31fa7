import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { carOf } from "../../server/content/car.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { grantDomain } from "../../server/domain/grant.ts";
import { type Address, type RepoPath, parseAddress } from "../../server/domain/ids.ts";
import { Admittance } from "../../server/flows/admit.ts";
import { OpenRepositories } from "../../server/flows/open-repo.ts";
import { ContentReader } from "../../server/flows/read-content.ts";
import { PushReceiver } from "../../server/flows/receive-push.ts";
import { FetchServer } from "../../server/flows/serve-fetch.ts";
import { Turns } from "../../server/flows/turns.ts";
import { GrantVerifier } from "../../server/flows/verify-grant.ts";
import { openNativeGit } from "../../server/git/native.ts";
import { DiskRepoCache } from "../../server/git/repo-cache.ts";
import { type AppParts, type Front, startFront } from "../../server/http/app.ts";
import { ServerMetrics } from "../../server/http/metrics.ts";
import { openSqliteLedger } from "../../server/ledger/open.ts";
import type { Ledger } from "../../server/ledger/port.ts";

const packBytesMax = 1n << 30n;
const chainId = 31_337n;
const accessBond = parseAddress(`0x${"ab".repeat(20)}`);
const registry = parseAddress(`0x${"cd".repeat(20)}`);

/**
 * One front in this process on real git, SQLite and flat files, without node process and chain: for tests that have to
 * set what the chain would tell, such as a Bond's quota, and to look into the ledger.
 */
export class LoneFront implements AsyncDisposable {
  readonly ledger: Ledger;
  readonly content: FlatStore;
  readonly service: { readonly url: string; readonly chainId: bigint; readonly accessBond: Address };
  /** What went wrong on the server's side. */
  readonly errors: unknown[];
  readonly #folder: string;
  readonly #front: Front;

  private constructor(
    made: Pick<LoneFront, "ledger" | "content" | "errors">,
    folder: string,
    front: Front,
    url: string,
  ) {
    this.ledger = made.ledger;
    this.content = made.content;
    this.errors = made.errors;
    this.#folder = folder;
    this.#front = front;
    this.service = { url, chainId, accessBond };
  }

  static async open(): Promise<LoneFront> {
    const folder = await mkdtemp(join(tmpdir(), "gitd-front-"));
    const ledger = await openSqliteLedger(join(folder, "ledger.sqlite"));
    await ledger.migrate();
    const content = await openFlatStore({ directory: join(folder, "content") });
    const made = { ledger, content, errors: [] as unknown[] };
    const audiences: string[] = [];
    const parts = await appParts(made, folder, audiences);
    const front = await startFront(parts, { host: "127.0.0.1", port: 0, reusePort: false, drainMs: 1000 });
    const url = `http://127.0.0.1:${front.port}`;
    audiences.push(url);
    return new LoneFront(made, folder, front, url);
  }

  remote(path: RepoPath): string {
    return `${this.service.url}/${path.namespace}/${path.name}.git`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#front.stop();
    await this.ledger[Symbol.asyncDispose]();
    await this.content[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function appParts(
  { ledger, content, errors }: Pick<LoneFront, "ledger" | "content" | "errors">,
  folder: string,
  audiences: readonly string[],
): Promise<AppParts> {
  const signal = AbortSignal.timeout(30_000);
  const engine = await openNativeGit({
    folder: join(folder, "git"),
    path: process.env["PATH"] ?? "",
    signal,
  });
  const localPath = content.localPath.bind(content);
  const cache = new DiskRepoCache({ folder: join(folder, "cache"), home: engine.home, localPath });
  const nowSeconds = (): bigint => BigInt(Math.floor(Date.now() / 1000));
  const metrics = new ServerMetrics(new Registry());
  const verifier = new GrantVerifier({
    ledger,
    domain: grantDomain(chainId, accessBond),
    audiences,
    nowSeconds,
  });
  const admittance = new Admittance({ ledger, nowSeconds, newId: randomUUID });
  const repositories = new OpenRepositories({ ledger, cache, tableBytesMax: 64 << 20 });
  const turns = new Turns({ runningMax: 4, waitingMax: 64 });
  metrics.watch({ turns, repositories });
  const onError = (error: unknown): void => void errors.push(error);
  const fetches = new FetchServer({
    engine,
    repositories,
    admittance,
    turns,
    onRead: (bytes, complete) => metrics.read(bytes, complete),
  });
  const pushes = new PushReceiver({
    ledger,
    content,
    engine,
    cache,
    repositories,
    admittance,
    packBytesMax,
    nowSeconds,
    chain: { chainId, registry },
    defaults: { policy: "bonded", price: { perCall: 10n, perGib: 1_000_000n }, head: "refs/heads/main" },
    onLateError: onError,
  });
  const reader = new ContentReader({
    ledger,
    content,
    admittance,
    car: (root, options) => carOf(content, root, options),
  });
  return {
    git: {
      fetches,
      pushes,
      verifier,
      packBytesMax,
      agent: "gitd/test",
      sessionId: "test",
      onPush: (outcome) => metrics.push(outcome),
      onError,
    },
    gateway: { verifier, reader },
    health: {
      metrics: metrics.registry,
      checks: [{ name: "content", check: () => content.ready() }],
      checkMs: 1000,
    },
    addApi: () => undefined,
    forward: { socketPath: join(folder, "node.sock"), idleMs: 1000 },
    forwarded: [],
    onError,
    onFinish: (door, status, seconds) => metrics.finished(door, status, seconds),
  };
}
