import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { withBitswap } from "@helia/bitswap";
import { type HeliaWithLibp2p, withLibp2pLight } from "@helia/libp2p";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { PrivateKey, ServiceMap } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createHeliaLight } from "helia";
import { CID } from "multiformats/cid";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { absent, blockBytesMax, checkBlock } from "./block-check.ts";
import type { AbortOptions, BlockSource } from "./port.ts";
import { RecentBlocks } from "./recent-blocks.ts";
import { type Served, ServedBlocks } from "./served-blocks.ts";
import { codeOf } from "./storage-failure.ts";

export interface HeliaOptions {
  /** Where the node's key is kept (`libp2p.key`, readable by its owner only); made if absent. */
  readonly directory: string;
  /** Multiaddrs to listen on; by default one free TCP port of the loopback interface. An empty list dials only. */
  readonly listen?: readonly string[];
  /** What peers may fetch over bitswap; without it nothing is served. */
  readonly served?: Served;
  /** How long a block may take to come from peers; 30 s by default. */
  readonly blockMsMax?: number;
}

const listenDefault = ["/ip4/127.0.0.1/tcp/0"];
const blockMsMaxDefault = 30_000;
const connectionsMax = 100;
const wantsMax = 1024;
const messageBytesMax = 2 * blockBytesMax;

/**
 * Starts an IPFS node that speaks bitswap over TCP. It calls nobody of its own accord: no bootstrap list, no DHT, no
 * mDNS, no relay, no port mapping; it knows the peers that it is told to dial and those that dial it.
 */
export async function openHelia(options: HeliaOptions): Promise<HeliaNode> {
  const helia = createHeliaLight({ blockstore: new ServedBlocks(options.served) });
  const networked = withLibp2pLight(helia, {
    privateKey: await loadKey(options.directory),
    addresses: { listen: [...(options.listen ?? listenDefault)] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionManager: { maxConnections: connectionsMax },
  });
  const node = withBitswap(networked, {
    maxIncomingMessageSize: messageBytesMax,
    maxOutgoingMessageSize: messageBytesMax,
    maxWantlistSize: wantsMax,
  });
  await node.start();
  return new HeliaNode(node, options.blockMsMax ?? blockMsMaxDefault);
}

/** A running node: serves blocks to peers, and gives those that connected peers have. */
export class HeliaNode implements BlockSource, AsyncDisposable {
  readonly #helia: HeliaWithLibp2p<ServiceMap>;
  readonly #blockMsMax: number;
  readonly #stopped = new AbortController();
  readonly #recent: RecentBlocks;

  constructor(helia: HeliaWithLibp2p<ServiceMap>, blockMsMax: number) {
    this.#helia = helia;
    this.#blockMsMax = blockMsMax;
    this.#recent = new RecentBlocks((cid) => this.#want(cid));
  }

  get peerId(): string {
    return this.#helia.libp2p.peerId.toString();
  }

  /** Where others can dial this node, each ending in `/p2p/<peer id>`. */
  multiaddrs(): string[] {
    return this.#helia.libp2p.getMultiaddrs().map(String);
  }

  /** Connects to a peer, and keeps the connection for later fetches. Throws `unavailable` if it cannot be reached. */
  async dial(address: string, { signal }: AbortOptions): Promise<void> {
    try {
      await this.#helia.libp2p.dial(multiaddr(address), { signal });
    } catch (cause) {
      signal.throwIfAborted();
      throw new GitdError("unavailable", `the IPFS peer ${address} cannot be reached`, {
        fix: "check its address and that it listens; it should end in /p2p/<peer id>",
        cause,
      });
    }
  }

  /** The block from any connected peer; throws `not-found` when none gives it in time. */
  async getBlock(cid: Cid, { signal }: AbortOptions): Promise<Uint8Array> {
    signal.throwIfAborted();
    if (this.#helia.libp2p.getPeers().length === 0) {
      throw new GitdError("not-found", `${cid} is not here, and no IPFS peer is connected`);
    }
    return this.#recent.get(cid, AbortSignal.any([signal, this.#stopped.signal]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort(new GitdError("cancelled", "the IPFS node stops"));
    await this.#helia.stop();
  }

  async #want(cid: Cid): Promise<Uint8Array> {
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(this.#blockMsMax)]);
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of this.#helia.blockstore.get(CID.parse(cid), { signal })) chunks.push(chunk);
    } catch (cause) {
      this.#stopped.signal.throwIfAborted();
      const seconds = this.#blockMsMax / 1000;
      throw new GitdError("not-found", `no connected IPFS peer gave ${cid} within ${seconds} s`, { cause });
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length === 0 && chunks.length === 0) throw absent(cid);
    checkBlock(cid, bytes);
    return bytes;
  }
}

async function loadKey(directory: string): Promise<PrivateKey> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "libp2p.key");
  try {
    return privateKeyFromProtobuf(await readFile(path));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  const key = await generateKeyPair("Ed25519");
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(privateKeyToProtobuf(key));
  await file.sync();
  return key;
}
