import type { HoldTerms } from "../domain/bond.ts";
import { GitdError } from "../domain/errors.ts";
import { formatRepoPath } from "../domain/ids.ts";
import type { Receipt } from "../domain/receipt.ts";
import { receiptOf } from "../../hooks/post-upload.ts";
import {
  type ExpectedRead,
  type ReadAccess,
  decideRead,
  hidden,
  signIn,
  termsOfRead,
} from "../../hooks/pre-upload.ts";
import type { AccessLedger, Repository, RepositoryLedger } from "../ledger/port.ts";
import { type Granted, type Identity, inScope } from "./identity.ts";

export interface AdmitParts {
  readonly ledger: Pick<AccessLedger, "usage" | "hold" | "post" | "voidHold" | "recordFreeRead"> &
    Pick<RepositoryLedger, "isWriter">;
  readonly nowSeconds: () => bigint;
  readonly newId: () => string;
}

/** What a read is about to send, before anything is known of what the client has. */
export type ReadPlan = Pick<ExpectedRead, "bytes" | "whole"> & Pick<Receipt, "operation">;

/** How a read went. */
export interface ReadOutcome {
  readonly bytesSent: bigint;
  readonly complete: boolean;
  /** In hex. */
  readonly contentSha256: string;
}

/** A read that may begin. Exactly one of the two ends it. */
export interface Admission {
  /** Bytes after which the read is cut off; undefined for no limit. */
  readonly bytesMax: bigint | undefined;
  /** Charges for what was sent and gives the rest of the Hold back. */
  finish(outcome: ReadOutcome): Promise<Receipt>;
  /** Nothing worth paying for was sent. */
  drop(): Promise<void>;
}

/** A Hold of a server that died is given back after this; no read may last longer. */
export const readSecondsMax = 6 * 3600;
/**
 * A pack made for a client can be a little larger than the stored packs it comes from, so a read runs on for this much
 * past its Hold, at no charge, rather than break off just before its end.
 */
const graceFraction = 50n;
const graceBytes = 64n * 1024n;

/** Decides who may read, write and administer, and takes Holds. */
export class Admittance {
  readonly #parts: AdmitParts;

  constructor(parts: AdmitParts) {
    this.#parts = parts;
  }

  /** Whether the read would be admitted now, quota and credit included; takes no Hold. Throws the refusal otherwise. */
  async checkRead(identity: Identity, repository: Repository, plan: ReadPlan): Promise<ReadAccess> {
    const access = await this.#access(identity, repository);
    if (access === "metered" && identity.kind === "granted" && identity.bond !== undefined) {
      const usage = await this.#parts.ledger.usage(identity.bond.id, identity.id, this.#parts.nowSeconds());
      termsOfRead(identity.bond, usage, 0, expected(identity, repository, plan));
    }
    return access;
  }

  /** Whether the reader may know about the repository at all, whatever a read costs. */
  async maySee(identity: Identity, repository: Repository): Promise<boolean> {
    if (repository.policy !== "private") return true;
    return (await this.#isOwnerOrWriter(identity, repository)) && inScope(identity, repository.path, "read");
  }

  /** Admits a read, with a Hold if it is metered. */
  async admitRead(identity: Identity, repository: Repository, plan: ReadPlan): Promise<Admission> {
    const access = await this.#access(identity, repository);
    if (access === "free") return this.#freeRead(identity, repository, plan);
    if (identity.kind !== "granted") throw signIn(formatRepoPath(repository.path));
    return this.#meteredRead(identity, repository, plan);
  }

  /** Throws unless the account owns the repository or is one of its writers, and its Grant reaches `write`. */
  async checkWrite(identity: Identity, repository: Repository): Promise<Granted> {
    const path = formatRepoPath(repository.path);
    if (identity.kind !== "granted") throw signIn(path);
    if (!(await this.#isOwnerOrWriter(identity, repository))) {
      if (repository.policy === "private") throw hidden();
      throw new GitdError("forbidden", `account ${identity.account} may not push to ${path}`, {
        fix: `ask its owner ${repository.owner} to run: gitd repo writers ${path} --add ${identity.account}`,
      });
    }
    if (!inScope(identity, repository.path, "write")) {
      throw new GitdError("forbidden", `the Grant's scope does not cover pushing to ${path}`, {
        fix: `make one that does: gitd grant create --scope '${path}:write'`,
      });
    }
    return identity;
  }

  async #access(identity: Identity, repository: Repository): Promise<ReadAccess> {
    return decideRead(repository.policy, formatRepoPath(repository.path), {
      isKnown: identity.kind === "granted",
      inScope: inScope(identity, repository.path, "read"),
      isOwnerOrWriter: await this.#isOwnerOrWriter(identity, repository),
      bond: identity.kind === "granted" ? (identity.bond?.id ?? 0n) : 0n,
    });
  }

  async #isOwnerOrWriter(identity: Identity, repository: Repository): Promise<boolean> {
    if (identity.kind !== "granted") return false;
    if (identity.account === repository.owner) return true;
    return this.#parts.ledger.isWriter(repository.id, identity.account);
  }

  #freeRead(identity: Identity, repository: Repository, plan: ReadPlan): Admission {
    const { ledger } = this.#parts;
    return {
      bytesMax: undefined,
      finish: async (outcome) => {
        const receipt = this.#receipt(this.#parts.newId(), identity, repository, plan, outcome, undefined);
        await ledger.recordFreeRead(receipt);
        return receipt;
      },
      drop: async () => undefined,
    };
  }

  async #meteredRead(identity: Granted, repository: Repository, plan: ReadPlan): Promise<Admission> {
    const { ledger, newId, nowSeconds } = this.#parts;
    const id = newId();
    const now = nowSeconds();
    const terms = await ledger.hold({
      id,
      grant: identity.id,
      bond: identity.grant.bond,
      repo: repository.id,
      nowSeconds: now,
      expiresAtSeconds: now + BigInt(readSecondsMax),
      decide: (bond, usage, openHolds) =>
        termsOfRead(bond, usage, openHolds, expected(identity, repository, plan)),
    });
    return {
      bytesMax: terms.bytes + terms.bytes / graceFraction + graceBytes,
      finish: async (outcome) => {
        const receipt = this.#receipt(id, identity, repository, plan, outcome, terms);
        await ledger.post(id, receipt);
        return receipt;
      },
      drop: () => ledger.voidHold(id),
    };
  }

  #receipt(
    id: string,
    identity: Identity,
    repository: Repository,
    plan: ReadPlan,
    outcome: ReadOutcome,
    terms: HoldTerms | undefined,
  ): Receipt {
    const granted = identity.kind === "granted" ? identity : undefined;
    const read = {
      id,
      grant: terms === undefined ? null : (granted?.id ?? null),
      bond: terms === undefined ? 0n : (granted?.grant.bond ?? 0n),
      account: granted?.account ?? null,
      repo: repository.id,
      operation: plan.operation,
      ...outcome,
      time: this.#parts.nowSeconds(),
    };
    return receiptOf(read, repository.price, terms);
  }
}

function expected(identity: Granted, repository: Repository, plan: ReadPlan): ExpectedRead {
  return { bytes: plan.bytes, whole: plan.whole, price: repository.price, grantCap: identity.grant.cap };
}
