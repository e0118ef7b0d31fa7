import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Registry, collectDefaultMetrics } from "prom-client";
import { type Config, isLoopback } from "./config.ts";
import { carOf } from "./content/car.ts";
import { openFlatStore } from "./content/flat-store.ts";
import { openKuboStore } from "./content/kubo.ts";
import type { ContentStore } from "./content/port.ts";
import { VerifiedStore } from "./content/verified.ts";
import { grantDomain } from "./domain/grant.ts";
import { Administrator } from "./flows/administer.ts";
import { Admittance } from "./flows/admit.ts";
import { OpenRepositories } from "./flows/open-repo.ts";
import { ContentReader } from "./flows/read-content.ts";
import { PushReceiver } from "./flows/receive-push.ts";
import { FetchServer } from "./flows/serve-fetch.ts";
import { Turns } from "./flows/turns.ts";
import { GrantVerifier } from "./flows/verify-grant.ts";
import { openNativeGit } from "./git/native.ts";
import { DiskRepoCache } from "./git/repo-cache.ts";
import { addApiRoutes } from "./http/api.ts";
import { startFront } from "./http/app.ts";
import { ServerMetrics } from "./http/metrics.ts";
import { openPostgresLedger, openSqliteLedger } from "./ledger/open.ts";
import type { Ledger } from "./ledger/port.ts";
import type { Logger } from "./log.ts";
import { type RunFacts, readRunFacts } from "./run-facts.ts";

/** What this server calls itself to Git clients. */
export const agent = "gitd/0.1.0";

const tableBytesMax = 64 * 1024 * 1024;
const uploadsPerFront = 2;
const uploadsWaitingMax = 1_000;
const forwardIdleMs = 30_000;
const readyCheckMs = 5_000;
const keptPackBytesMax = 4n * 1024n * 1024n * 1024n;
const defaults = {
  policy: "bonded",
  price: { perCall: 1_000n, perGib: 10_000n },
  head: "refs/heads/main",
} as const;

export function openLedger(config: Config): Promise<Ledger> {
  return config.databaseUrl === undefined
    ? openSqliteLedger(config.data.ledger)
    : openPostgresLedger(config.databaseUrl);
}

export async function migrateLedger(config: Config): Promise<void> {
  await using ledger = await openLedger(config);
  await ledger.migrate();
}

export type OpenContent = ContentStore & Partial<AsyncDisposable>;

export async function openContent(config: Config): Promise<OpenContent> {
  if (config.kuboRpc === undefined) return openFlatStore({ directory: config.data.content });
  const kubo = await openKuboStore({
    url: config.kuboRpc,
    directory: config.data.content,
    keptBytesMax: keptPackBytesMax,
  });
  return new VerifiedStore(kubo);
}

export const nowSeconds = (): bigint => BigInt(Math.floor(Date.now() / 1000));

/** An HTTP process, listening. Disposing finishes running requests first. */
export async function composeFront(config: Config, log: Logger): Promise<AsyncDisposable> {
  const facts = await readRunFacts(config.data.run);
  const resources = new AsyncDisposableStack();
  const ledger = resources.use(await openLedger(config));
  const content = await openContent(config);
  resources.defer(() => content[Symbol.asyncDispose]?.());
  const stopped = new AbortController();
  resources.defer(() => stopped.abort());
  const metrics = new ServerMetrics(new Registry());
  collectDefaultMetrics({ register: metrics.registry });
  const front = await startFront(
    await frontParts(config, facts, { ledger, content, metrics, log, signal: stopped.signal }),
    {
      host: config.host,
      port: config.port,
      reusePort: process.platform === "linux",
      drainMs: config.drainMs,
    },
  );
  resources.defer(() => front.stop());
  return resources;
}

interface FrontTools {
  readonly ledger: Ledger;
  readonly content: ContentStore;
  readonly metrics: ServerMetrics;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

async function frontParts(
  config: Config,
  facts: RunFacts,
  { ledger, content, metrics, log, signal }: FrontTools,
): Promise<Parameters<typeof startFront>[0]> {
  const onError = (error: unknown): void => log.error({ err: error }, "the server failed");
  const git = await openNativeGit({ folder: config.data.git, path: config.gitPath, signal });
  const localPath: ContentStore["localPath"] = (cid, options) => content.localPath(cid, options);
  const cache = new DiskRepoCache({ folder: config.data.cache, home: git.home, localPath });
  const repositories = new OpenRepositories({ ledger, cache, tableBytesMax });
  const admittance = new Admittance({ ledger, nowSeconds, newId: randomUUID });
  const verifier = new GrantVerifier({
    ledger,
    domain: grantDomain(BigInt(facts.chainId), facts.accessBond),
    audiences: config.origins,
    nowSeconds,
  });
  const chain = { chainId: BigInt(facts.chainId), registry: facts.registry };
  const pushes = new PushReceiver({
    ...{ ledger, content, engine: git, cache, repositories, admittance, chain, defaults, nowSeconds },
    packBytesMax: config.packBytesMax,
    onLateError: onError,
  });
  const turns = new Turns({ runningMax: uploadsPerFront, waitingMax: uploadsWaitingMax });
  metrics.watch({ turns, repositories });
  const fetches = new FetchServer({
    ...{ engine: git, repositories, admittance, turns },
    onRead: (bytes, complete) => metrics.read(bytes, complete),
  });
  const car = (root: Parameters<typeof carOf>[1], options: { readonly signal: AbortSignal }) =>
    carOf(content, root, { ...options, follow: "files" });
  const reader = new ContentReader({ ledger, content, admittance, car });
  const administrator = new Administrator({ ledger, admittance, nowSeconds, defaults });
  return {
    git: {
      ...{ fetches, pushes, verifier, agent, onError },
      packBytesMax: config.packBytesMax,
      sessionId: randomUUID(),
      onPush: (outcome) => metrics.push(outcome),
    },
    gateway: { reader, verifier },
    health: {
      metrics: metrics.registry,
      checks: [
        { name: "ledger", check: () => ledger.ready() },
        { name: "content", check: () => content.ready() },
      ],
      checkMs: readyCheckMs,
    },
    addApi: (app) =>
      addApiRoutes(app, {
        ...{ administrator, verifier, ledger, agent },
        origin: config.origins[0] ?? "",
        facts: () => readRunFacts(config.data.run),
      }),
    forward: { socketPath: join(config.data.run, "node.sock"), idleMs: forwardIdleMs },
    forwarded: isLoopback(config.host) && facts.faucet ? ["/api/v1/faucet"] : [],
    onError,
    onFinish: (door, status, seconds) => metrics.finished(door, status, seconds),
  };
}
