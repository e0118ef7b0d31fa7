import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EmbeddedChain } from "./chain/embedded.ts";
import { openEvmChain } from "./chain/evm.ts";
import { keyInFile } from "./chain/keys.ts";
import { agent, nowSeconds, openLedger } from "./compose.ts";
import { type Config, isLoopback } from "./config.ts";
import { openFlatStore } from "./content/flat-store.ts";
import { openHelia } from "./content/helia.ts";
import { GitdError } from "./domain/errors.ts";
import { parseAddress } from "./domain/ids.ts";
import { Keeper } from "./flows/keep/keeper.ts";
import { mayServeToPeers } from "./flows/serve-peers.ts";
import { type NodeAction, openNodeDoor } from "./http/node-door.ts";
import type { Ledger } from "./ledger/port.ts";
import type { Logger } from "./log.ts";
import { writeRunFacts } from "./run-facts.ts";

interface OpenedChain {
  readonly chain: Awaited<ReturnType<typeof openEvmChain>>;
  /** Undefined for a chain that is not ours. */
  readonly embedded: EmbeddedChain | undefined;
  readonly rpcUrl: string;
}

/** The node process: the IPFS node, the keeper, and the door that fronts reach it by. */
export async function composeNode(config: Config, log: Logger): Promise<AsyncDisposable> {
  const resources = new AsyncDisposableStack();
  const ledger = resources.use(await openLedger(config));
  const { chain, embedded, rpcUrl } = await openChain(config, ledger, resources);
  const ipfs = await openIpfs(config, ledger, log, resources);
  const keeper = new Keeper({
    ...{ ledger, chain, log, nowSeconds },
    ...config.chain,
    keepsRaw: embedded !== undefined,
    beforeReplay: async () => embedded?.fundKeeper(),
  });
  const stopped = new AbortController();
  const running = keeper.run(stopped.signal);
  resources.defer(async () => {
    stopped.abort();
    await running;
  });
  const faucet = embedded !== undefined && isLoopback(config.host);
  resources.use(
    await openNodeDoor({
      socketPath: join(config.data.run, "node.sock"),
      actions: {
        "GET /health": async () => ({ keeper: keeper.health, agent }),
        ...(faucet ? { "POST /api/v1/faucet": faucetAction(embedded) } : {}),
      },
      onError: (error, route) => log.warn({ err: error, route }, "the node process could not do it"),
    }),
  );
  await writeRunFacts(config.data.run, {
    chainId: String(chain.chainId),
    registry: chain.registry,
    accessBond: chain.accessBond,
    codex: chain.codex,
    rpcUrl: faucet ? rpcUrl : null,
    faucet,
    ipfs,
  });
  return resources;
}

async function openChain(
  config: Config,
  ledger: Ledger,
  resources: AsyncDisposableStack,
): Promise<OpenedChain> {
  if (config.chain.kind === "external") {
    const recorderKey = await keyInFile(join(config.data.keys, "recorder.key"));
    const { rpcUrl } = config.chain;
    return { chain: await openEvmChain({ ...config.chain, recorderKey }), embedded: undefined, rpcUrl };
  }
  const rpcUrl = `http://127.0.0.1:${config.chain.port}`;
  const embedded = await EmbeddedChain.open(
    { rpcUrl, keysFolder: config.data.keys, folder: config.data.chain },
    async (send) => {
      for (const raw of await ledger.rawTransactionsFrom(0n)) await send(raw);
    },
  );
  resources.use(embedded);
  const chain = await openEvmChain({
    rpcUrl,
    registry: parseAddress(embedded.deployment.registry),
    accessBond: parseAddress(embedded.deployment.accessBond),
    recorderKey: embedded.recorderKey,
  });
  return { chain, embedded, rpcUrl };
}

/** Starts the embedded IPFS node over the same files that the fronts use; Kubo is a node of its own. */
async function openIpfs(
  config: Config,
  ledger: Ledger,
  log: Logger,
  resources: AsyncDisposableStack,
): Promise<string[]> {
  if (config.kuboRpc !== undefined) return [];
  await mkdir(config.data.ipfs, { recursive: true, mode: 0o700 });
  const store = resources.use(await openFlatStore({ directory: config.data.content }));
  const helia = await openHelia({
    directory: config.data.ipfs,
    listen: config.ipfs.listen,
    served: {
      store,
      mayServe: (cid) => mayServeToPeers({ ledger, filesHolding: (block) => store.filesHolding(block) }, cid),
      onError: (error) => log.warn({ err: error }, "a block could not be served"),
    },
  });
  resources.use(helia);
  for (const peer of config.ipfs.peers) {
    try {
      await helia.dial(peer, { signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      // NOTE: a peer that is down must not keep the server from starting.
      log.warn({ err: error, peer }, "an IPFS peer does not answer");
    }
  }
  return helia.multiaddrs();
}

function faucetAction(embedded: EmbeddedChain): NodeAction {
  return async ({ address }) => {
    const to = parseAddress(address);
    const { codex } = await embedded.give(to);
    if (codex <= 0n) throw new GitdError("chain-unavailable", "the faucet's transfer did not arrive");
    return { address: to, codex };
  };
}
