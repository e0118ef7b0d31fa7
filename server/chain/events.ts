import { Interface, type Log } from "ethers";
import { accessBondAbi } from "../../contracts/artifacts/AccessBond.ts";
import { provenanceRegistryAbi } from "../../contracts/artifacts/ProvenanceRegistry.ts";
import { type RepoId, parseAddress, parseBytes32 } from "../domain/ids.ts";
import type { ChainEvent } from "./port.ts";

const registry = new Interface(provenanceRegistryAbi);
const bonds = new Interface(accessBondAbi);

/** The events that the indexer acts on, in the chain's order; others are left out. */
export function decodeEvents(logs: readonly Log[]): ChainEvent[] {
  return logs.flatMap((log) => registryEvent(log) ?? bondEvent(log) ?? []);
}

function registryEvent(log: Log): ChainEvent | undefined {
  const event = registry.parseLog(log);
  const block = BigInt(log.blockNumber);
  switch (event?.name) {
    case "PushRecorded":
      return {
        kind: "push-recorded",
        repo: parseBytes32(event.args["repo"]) as RepoId,
        seq: BigInt(event.args["seq"]),
        head: parseBytes32(event.args["head"]),
        pusher: parseAddress(event.args["pusher"]),
        record: parseBytes32(event.args["record"]),
        manifest: parseBytes32(event.args["manifest"]),
        transaction: parseBytes32(log.transactionHash),
        block,
      };
    case "NamespaceClaimed":
      return {
        kind: "namespace-claimed",
        namespace: String(event.args["name"]),
        owner: parseAddress(event.args["owner"]),
        block,
      };
    case "WriterSet":
      return {
        kind: "writer-set",
        repo: parseBytes32(event.args["repo"]) as RepoId,
        account: parseAddress(event.args["account"]),
        allowed: event.args["allowed"] === true,
        block,
      };
    case "RepositoryCreated":
      return {
        kind: "repository-created",
        repo: parseBytes32(event.args["repo"]) as RepoId,
        path: `${event.args["namespace"]}/${event.args["name"]}`,
        owner: parseAddress(event.args["owner"]),
        block,
      };
    default:
      return undefined;
  }
}

/** Whatever happens to a Bond, its new state is read whole. */
function bondEvent(log: Log): ChainEvent | undefined {
  const event = bonds.parseLog(log);
  const bond: unknown = event?.args["bond"] ?? event?.args["tokenId"];
  return typeof bond === "bigint"
    ? { kind: "bond-changed", bond, block: BigInt(log.blockNumber) }
    : undefined;
}
