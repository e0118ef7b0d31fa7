import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer } from "./peers.ts";
import { inheritedEnvironment, run } from "./processes.ts";

export interface KuboDaemon extends AsyncDisposable {
  /** Address of its RPC on a free port of the loopback interface. */
  readonly rpcUrl: string;
  /** Its multiaddr with peer id; empty when offline. */
  readonly swarmAddress: string;
}

const startMsMax = 40_000;
const stopMsMax = 10_000;

/** Starts a daemon with an empty repository of its own. It knows no other peer and listens on the loopback interface only. */
export async function startKubo(peer: Peer, options: { readonly offline: boolean }): Promise<KuboDaemon> {
  const folder = await mkdtemp(join(tmpdir(), "gitd-kubo-"));
  const env = { ...inheritedEnvironment(), IPFS_PATH: folder, IPFS_TELEMETRY: "off" };
  try {
    for (const args of [
      ["init", "--empty-repo", "--profile=test"],
      ["config", "Addresses.API", "/ip4/127.0.0.1/tcp/0"],
      ["config", "Addresses.Gateway", "/ip4/127.0.0.1/tcp/0"],
      ["config", "--json", "Addresses.Swarm", '["/ip4/127.0.0.1/tcp/0"]'],
      ["config", "Routing.Type", "none"],
    ]) {
      const { code, stderr } = await run(peer.path, args, { env });
      if (code !== 0) throw new Error(`ipfs ${args.join(" ")} failed: ${stderr}`);
    }
    const flags = options.offline ? ["--offline"] : [];
    const child = spawn(peer.path, ["daemon", ...flags], { env, stdio: ["ignore", "pipe", "pipe"] });
    const close = async (): Promise<void> => {
      await stop(child);
      await rm(folder, { recursive: true });
    };
    try {
      const rpcUrl = await rpcUrlOf(child);
      return {
        rpcUrl,
        swarmAddress: options.offline ? "" : await swarmAddressOf(rpcUrl),
        [Symbol.asyncDispose]: close,
      };
    } catch (error) {
      await stop(child);
      throw error;
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function rpcUrlOf(child: ChildProcess): Promise<string> {
  let output = "";
  const found = Promise.withResolvers<string>();
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    const port = /RPC API server listening on \/ip4\/127\.0\.0\.1\/tcp\/(\d+)/.exec(output)?.[1];
    if (port !== undefined && output.includes("Daemon is ready")) found.resolve(`http://127.0.0.1:${port}`);
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  child.once("exit", () => found.reject(new Error(`the Kubo daemon ended:\n${output}`)));
  const timer = setTimeout(
    () => found.reject(new Error(`the Kubo daemon is not ready:\n${output}`)),
    startMsMax,
  );
  try {
    return await found.promise;
  } finally {
    clearTimeout(timer);
  }
}

async function swarmAddressOf(rpcUrl: string): Promise<string> {
  const answer = await fetch(`${rpcUrl}/api/v0/id`, {
    method: "POST",
    signal: AbortSignal.timeout(stopMsMax),
  });
  const { Addresses } = (await answer.json()) as { Addresses: string[] };
  const address = Addresses.find((each) => each.startsWith("/ip4/127.0.0.1/tcp/"));
  if (address === undefined) throw new Error(`the Kubo daemon listens nowhere: ${Addresses.join(" ")}`);
  return address;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await ended;
  clearTimeout(timer);
}
