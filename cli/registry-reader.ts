import { Contract, type EventLog, JsonRpcProvider } from "ethers";
import { provenanceRegistryAbi } from "../contracts/artifacts/ProvenanceRegistry.ts";
import { type PushLeaf, headAfter, leafHash, seqOfHead } from "../server/domain/chain-hash.ts";
import { GitdError } from "../server/domain/errors.ts";
import { type Address, type RepoId, parseAddress, parseBytes32 } from "../server/domain/ids.ts";

/** What the chain says of a repository's last Push, checked against the head that the registry stores. */
export async function lastPushOnChain(rpcUrl: string, registry: Address, repo: RepoId): Promise<PushLeaf> {
  const provider = new JsonRpcProvider(rpcUrl, undefined, { batchMaxCount: 1 });
  try {
    const contract = new Contract(registry, provenanceRegistryAbi, provider);
    const head = parseBytes32(await contract.getFunction("headOf").staticCall(repo));
    const seq = seqOfHead(head);
    if (seq === 0n) {
      throw new GitdError("not-found", "the registry has no push of this repository", {
        fix: "check the repository's path, the registry's address and the chain",
      });
    }
    const logs = await contract.queryFilter(contract.getEvent("PushRecorded")(repo, seq), 0);
    for (const log of logs) {
      const { args } = log as EventLog;
      const leaf: PushLeaf = {
        repo,
        seq,
        previous: parseBytes32(args["previous"]),
        record: parseBytes32(args["record"]),
        manifest: parseBytes32(args["manifest"]),
        contributionsRoot: parseBytes32(args["contributionsRoot"]),
        pusher: parseAddress(args["pusher"]),
      };
      if (headAfter(leaf.previous, seq, leafHash(leaf)) === head) return leaf;
    }
    throw new GitdError("content-mismatch", "no recorded push leads to the head that the registry stores", {
      fix: "do not trust this endpoint's answers; ask another one",
    });
  } catch (error) {
    if (error instanceof GitdError) throw error;
    throw new GitdError("chain-unavailable", "the chain does not answer", {
      fix: "check --rpc and --registry",
      cause: error,
    });
  } finally {
    provider.destroy();
  }
}
