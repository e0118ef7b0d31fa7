import { GitdError, isGitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { type Gateway, GatewaySource } from "./gateway.ts";
import type { AbortOptions, BlockSource } from "./port.ts";

export interface PeerSourceOptions extends AbortOptions {
  /** Multiaddrs of IPFS nodes, each ending in `/p2p/<peer id>`. */
  readonly peers: readonly string[];
  /** Asked first, in this order: a block over HTTP costs a fraction of one over bitswap. */
  readonly gateways: readonly Gateway[];
  /** Where the IPFS node keeps its key; only used with `peers`. */
  readonly directory: string;
}

export interface PeerSource extends BlockSource, AsyncDisposable {}

const dialMsMax = 15_000;

/**
 * Blocks from gateways and IPFS peers, each checked against its Cid. Starts a node that only dials if there are peers;
 * peers that cannot be reached are left out, unless nothing else remains (`unavailable`).
 */
export async function openPeerSource(options: PeerSourceOptions): Promise<PeerSource> {
  const sources: BlockSource[] = options.gateways.map((gateway) => new GatewaySource(gateway));
  const node = options.peers.length === 0 ? undefined : await openDialer(options, sources.length > 0);
  if (node !== undefined) sources.push(node);
  if (sources.length === 0) {
    throw new GitdError("invalid", "there is nowhere to fetch from", { fix: "name a peer or a gateway" });
  }
  return {
    getBlock: firstOf(sources),
    [Symbol.asyncDispose]: async () => node?.[Symbol.asyncDispose](),
  };
}

/** Asks each source in turn until one has the block; throws the most telling failure when none does. */
export function firstOf(sources: readonly BlockSource[]): BlockSource["getBlock"] {
  return async (cid: Cid, { signal }: AbortOptions) => {
    let failure: unknown;
    for (const source of sources) {
      try {
        return await source.getBlock(cid, { signal });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof GitdError)) throw error;
        if (failure === undefined || isGitdError(failure, "not-found")) failure = error;
      }
    }
    throw failure;
  };
}

async function openDialer(
  { peers, directory, signal }: PeerSourceOptions,
  mayLack: boolean,
): Promise<(BlockSource & AsyncDisposable) | undefined> {
  // NOTE: loaded here as it costs tens of megabytes, which a restore through a gateway need not pay.
  const { openHelia } = await import("./helia.ts");
  const node = await openHelia({ directory, listen: [] });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(dialMsMax)]);
  const dials = await Promise.allSettled(peers.map((peer) => node.dial(peer, { signal: limit })));
  if (dials.some(({ status }) => status === "fulfilled")) return node;
  await node[Symbol.asyncDispose]();
  signal.throwIfAborted();
  if (mayLack) return undefined;
  throw new GitdError("unavailable", `none of the IPFS peers can be reached: ${peers.join(", ")}`, {
    fix: "check their addresses, or name a gateway",
    cause: dials.find((dial) => dial.status === "rejected")?.reason,
  });
}
