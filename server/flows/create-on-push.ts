import { zeroBytes32 } from "../domain/chain-hash.ts";
import type { Policy, Price } from "../domain/bond.ts";
import { isGitdError } from "../domain/errors.ts";
import { type Address, type ObjectFormat, type RepoPath, isAddress, repoIdOf } from "../domain/ids.ts";
import type { Repository, RepositoryLedger } from "../ledger/port.ts";

export interface CreateOnPushParts {
  readonly ledger: Pick<RepositoryLedger, "namespaceOwner" | "createRepository" | "repository">;
  /** What a repository starts with when its first push creates it. */
  readonly defaults: { readonly policy: Policy; readonly price: Price; readonly head: string };
  readonly nowSeconds: () => bigint;
}

/** Whether the account may create repositories in a namespace: its own address, or a readable name it has claimed. */
export async function ownsNamespace(
  ledger: Pick<RepositoryLedger, "namespaceOwner">,
  account: Address,
  namespace: string,
): Promise<boolean> {
  if (isAddress(namespace)) return namespace === account;
  return (await ledger.namespaceOwner(namespace)) === account;
}

/** The repository that a first push to `path` would create: empty, and in no ledger yet. */
export function futureRepository(
  parts: CreateOnPushParts,
  path: RepoPath,
  owner: Address,
  objectFormat: ObjectFormat,
): Repository {
  return {
    id: repoIdOf(path),
    path,
    owner,
    objectFormat,
    ...parts.defaults,
    version: 0n,
    seq: 0n,
    chainHead: zeroBytes32,
    manifest: null,
    createdAt: parts.nowSeconds(),
  };
}

/** Creates it for good. Of two first pushes at once one creates, the other finds it. */
export async function createFuture(parts: CreateOnPushParts, future: Repository): Promise<Repository> {
  const { path, owner, objectFormat, head, policy, price } = future;
  try {
    return await parts.ledger.createRepository(
      { path, owner, objectFormat, head, policy, price },
      parts.nowSeconds(),
    );
  } catch (error) {
    const existing = isGitdError(error, "conflict") ? await parts.ledger.repository(path) : undefined;
    if (existing === undefined || existing.objectFormat !== objectFormat) throw error;
    return existing;
  }
}
