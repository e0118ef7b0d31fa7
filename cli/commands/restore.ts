import type { Command } from "commander";
import { GitdError } from "../../server/domain/errors.ts";
import { formatRepoPath, parseAddress, parseRepoPath, repoIdOf } from "../../server/domain/ids.ts";
import type { Context } from "../context.ts";
import { restore } from "../restore.ts";

interface RestoreOptions {
  readonly into: string;
  readonly registry?: string;
  readonly rpc?: string;
  readonly peer: readonly string[];
  readonly gateway: readonly string[];
}

const restoreMs = 24 * 3_600_000;
const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addRestore(program: Command, context: Context): void {
  const { terminal } = context;
  program
    .command("restore")
    .description("rebuild a repository from the chain and IPFS alone")
    .argument("<repo>", "<namespace>/<name>")
    .requiredOption("--into <dir>", "where the bare repository goes; must not exist")
    .option("--registry <address>", "the ProvenanceRegistry; asked of GITD_URL unless given")
    .option("--rpc <url>", "the chain's endpoint; asked of GITD_URL unless given")
    .option("--peer <multiaddr>", "an IPFS peer that has the blocks; may be given again", collect, [])
    .option("--gateway <url>", "a trustless gateway; may be given again", collect, [])
    .addHelpText(
      "after",
      "\nExample:\n  gitd restore acme/tool --into tool.git --registry 0x… --rpc https://… --peer /ip4/…/tcp/…/p2p/…",
    )
    .action(async (name: string, options: RestoreOptions) => {
      const path = parseRepoPath(name);
      const place = await chainPlace(context, options);
      const repo = repoIdOf(path);
      const signal = AbortSignal.timeout(restoreMs);
      const { lastPushOnChain } = await import("../registry-reader.ts");
      const push = await terminal.during("asking the chain", () =>
        lastPushOnChain(place.rpcUrl, parseAddress(place.registry), repo),
      );
      const nowhere = options.peer.length === 0 && options.gateway.length === 0;
      const urls = nowhere ? [context.client().url] : options.gateway;
      const gateways = await Promise.all(urls.map((url) => gatewayAt(context, url, formatRepoPath(path))));
      const plan = {
        repo,
        push,
        into: options.into,
        peers: options.peer,
        gateways,
        onStep: (text: string) => terminal.say(text),
      };
      const restored = await restore(await context.restoreTools(), plan, signal);
      terminal.print(
        `${restored.path}: push ${restored.seq}, ${restored.refs} refs, ${restored.packs} packs, ${restored.bytes} bytes, every object checked`,
      );
    });
}

async function chainPlace(
  context: Context,
  { registry, rpc }: RestoreOptions,
): Promise<{ readonly registry: string; readonly rpcUrl: string }> {
  if (registry !== undefined && rpc !== undefined) return { registry, rpcUrl: rpc };
  const info = await context.client().info();
  const rpcUrl = rpc ?? info.rpcUrl;
  if (rpcUrl !== null) return { registry: registry ?? info.registry, rpcUrl };
  throw new GitdError("invalid", "the server does not name its chain's endpoint", {
    fix: "give it with --rpc",
  });
}

/** Our own server's gateway asks for a Grant; a stranger's must not get one. */
async function gatewayAt(
  context: Context,
  url: string,
  path: string,
): Promise<{ readonly url: string; readonly authorization?: string }> {
  const isOwn = new URL(url).origin === new URL(context.client().url).origin;
  const hasWallet = (await context.wallets().defaultAddress()) !== undefined;
  if (!isOwn || !hasWallet) return { url };
  return { url, authorization: `Bearer ${await context.ownGrant(`${path}:read`)}` };
}
