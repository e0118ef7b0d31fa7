import type { Cid } from "../domain/ids.ts";
import type { RepositoryLedger } from "../ledger/port.ts";

export interface ServePeersParts {
  readonly ledger: Pick<RepositoryLedger, "repositoriesHolding" | "repositoryById">;
  /** The files that a leaf or tree node is part of; none for a block that stands alone. */
  readonly filesHolding: (cid: Cid) => Promise<readonly Cid[]>;
}

/** Repositories looked at for one block: content shared by more is judged by these. */
const holdersMax = 16;

/**
 * Whether a block may go to any IPFS peer. Bitswap cannot tell who asks, so packs go out only for open repositories;
 * Manifests, records and their pages, which hold no file content and which everyone needs to check a claim, for all but private ones.
 */
export async function mayServeToPeers(parts: ServePeersParts, cid: Cid): Promise<boolean> {
  const files = await parts.filesHolding(cid);
  const allowed = files.length > 0 ? ["open"] : ["open", "bonded"];
  for (const named of [cid, ...files]) {
    const holders = await parts.ledger.repositoriesHolding(named);
    for (const id of holders.slice(0, holdersMax)) {
      const repository = await parts.ledger.repositoryById(id);
      if (repository !== undefined && allowed.includes(repository.policy)) return true;
    }
  }
  return false;
}
