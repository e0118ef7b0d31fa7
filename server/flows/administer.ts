import type { Bond, Policy, Price, Usage } from "../domain/bond.ts";
import { GitdError } from "../domain/errors.ts";
import { scopeAllows } from "../domain/grant.ts";
import {
  type Address,
  type Bytes32,
  type ObjectFormat,
  type RepoPath,
  formatRepoPath,
} from "../domain/ids.ts";
import type { Receipt } from "../domain/receipt.ts";
import type { AccessLedger, PushRow, Repository, RepositoryLedger } from "../ledger/port.ts";
import type { Admittance } from "./admit.ts";
import { ownsNamespace } from "./create-on-push.ts";
import type { Granted, Identity } from "./identity.ts";

export interface AdministerParts {
  readonly ledger: RepositoryLedger &
    Pick<AccessLedger, "bond" | "bondsOf" | "receipts" | "revokeGrant" | "usage">;
  readonly admittance: Admittance;
  readonly nowSeconds: () => bigint;
  /** What a new repository starts with. */
  readonly defaults: { readonly policy: Policy; readonly price: Price; readonly head: string };
}

export interface RepositoryRequest {
  readonly objectFormat: ObjectFormat;
  readonly defaultBranch: string | undefined;
  readonly policy: Policy | undefined;
}

export interface RepositoryChange {
  readonly policy?: Policy;
  readonly price?: Price;
  readonly defaultBranch?: string;
}

export interface BondView {
  readonly bond: Bond;
  readonly usage: Usage;
}

const repositoriesMax = 1_000;

/** What owners set and people look up: repositories, writers, the log of Pushes, Bonds, Receipts. */
export class Administrator {
  readonly #parts: AdministerParts;

  constructor(parts: AdministerParts) {
    this.#parts = parts;
  }

  /** Throws `forbidden` unless the sender owns the namespace, `conflict` for a name that is taken. */
  async create(identity: Identity, path: RepoPath, request: RepositoryRequest): Promise<Repository> {
    const { defaults, ledger, nowSeconds } = this.#parts;
    const { account } = inScope(identity, path);
    if (!(await ownsNamespace(ledger, account, path.namespace))) {
      throw new GitdError("forbidden", `namespace ${path.namespace} is not yours`, {
        fix: `create it as ${account}/${path.name}, or claim a namespace: gitd namespace claim <name>`,
      });
    }
    const head = request.defaultBranch === undefined ? defaults.head : `refs/heads/${request.defaultBranch}`;
    const policy = request.policy ?? defaults.policy;
    const { objectFormat } = request;
    return ledger.createRepository(
      { path, owner: account, objectFormat, head, policy, price: defaults.price },
      nowSeconds(),
    );
  }

  async list(identity: Identity): Promise<Repository[]> {
    return this.#parts.ledger.repositoriesOf(known(identity).account, repositoriesMax);
  }

  /** A repository that the sender may know of. */
  async show(identity: Identity, path: RepoPath): Promise<Repository> {
    const { admittance, ledger } = this.#parts;
    const repository = await ledger.repository(path);
    if (repository !== undefined && (await admittance.maySee(identity, repository))) return repository;
    throw new GitdError(
      "repo-not-found",
      `there is no repository ${formatRepoPath(path)}, or it is private`,
      {
        fix: "check the spelling, or sign in as someone who may see it",
      },
    );
  }

  async change(identity: Identity, path: RepoPath, change: RepositoryChange): Promise<Repository> {
    const repository = await this.#owned(identity, path);
    const { policy, price, defaultBranch } = change;
    return this.#parts.ledger.configure(repository.id, {
      ...(policy === undefined ? {} : { policy }),
      ...(price === undefined ? {} : { price }),
      ...(defaultBranch === undefined ? {} : { head: `refs/heads/${defaultBranch}` }),
    });
  }

  async writers(identity: Identity, path: RepoPath): Promise<Address[]> {
    const repository = await this.show(identity, path);
    return this.#parts.ledger.writers(repository.id);
  }

  async setWriter(identity: Identity, path: RepoPath, account: Address, allowed: boolean): Promise<void> {
    const repository = await this.#owned(identity, path);
    await this.#parts.ledger.setWriter(repository.id, account, allowed);
  }

  /** The Pushes before `beforeSeq`, newest first. */
  async log(
    identity: Identity,
    path: RepoPath,
    limit: number,
    beforeSeq: bigint | undefined,
  ): Promise<PushRow[]> {
    const repository = await this.show(identity, path);
    return this.#parts.ledger.pushes(repository.id, {
      limit,
      ...(beforeSeq === undefined ? {} : { beforeSeq }),
    });
  }

  /** A Bond as the server last saw it on chain, with what this period has used of it. */
  async bond(id: bigint): Promise<BondView> {
    const { ledger, nowSeconds } = this.#parts;
    const bond = await ledger.bond(id);
    if (bond === undefined) {
      throw new GitdError("not-found", `bond ${id} is not known here`, {
        fix: "a new bond is seen within seconds of its block; try again",
      });
    }
    return { bond, usage: await ledger.usage(id, null, nowSeconds()) };
  }

  async bondsOf(account: Address): Promise<Bond[]> {
    return this.#parts.ledger.bondsOf(account);
  }

  async receipts(identity: Identity, limit: number): Promise<Receipt[]> {
    return this.#parts.ledger.receipts({ account: known(identity).account, limit });
  }

  /** Voids a Grant for good; only the account that it acts for may. */
  async revoke(
    identity: Identity,
    grant: { readonly id: Bytes32; readonly account: Address },
  ): Promise<void> {
    if (known(identity).account !== grant.account) {
      throw new GitdError("forbidden", "this Grant acts for another account", {
        fix: "ask that account to revoke it",
      });
    }
    await this.#parts.ledger.revokeGrant(grant.id, this.#parts.nowSeconds());
  }

  async #owned(identity: Identity, path: RepoPath): Promise<Repository> {
    const repository = await this.show(identity, path);
    const { account } = inScope(identity, path);
    if (account === repository.owner) return repository;
    throw new GitdError("forbidden", `only ${repository.owner} may change ${formatRepoPath(path)}`, {
      fix: "ask its owner",
    });
  }
}

function known(identity: Identity): Granted {
  if (identity.kind === "granted") return identity;
  throw new GitdError("unauthenticated", "this needs a Grant", { fix: "send one: gitd grant create" });
}

function inScope(identity: Identity, path: RepoPath): Granted {
  const granted = known(identity);
  if (scopeAllows(granted.grant.scope, path, "admin")) return granted;
  throw new GitdError("forbidden", `the Grant's scope does not reach '${formatRepoPath(path)}:admin'`, {
    fix: `make one that does: gitd grant create --scope '${formatRepoPath(path)}:admin'`,
  });
}
