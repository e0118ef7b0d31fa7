import { headAfter, leafHash } from "../server/domain/chain-hash.ts";
import {
  type Contribution,
  type IntroducedCommit,
  contributionsOf,
  contributionsRoot,
} from "../server/domain/contribution.ts";
import { type DagBlock, digestOfCid } from "../server/domain/dag-block.ts";
import type { Address, Bytes32, Cid, ObjectFormat, RepoId } from "../server/domain/ids.ts";
import type { RefUpdate } from "../server/domain/push.ts";
import { encodeRecord } from "../server/domain/record.ts";

/** What one accepted Push was: everything its record says. */
export interface AcceptedPush {
  readonly chainId: bigint;
  readonly registry: Address;
  readonly repo: RepoId;
  readonly path: string;
  readonly objectFormat: ObjectFormat;
  readonly seq: bigint;
  readonly previous: Bytes32;
  readonly pusher: Address;
  readonly time: bigint;
  readonly updates: readonly RefUpdate[];
  readonly pushOptions: readonly string[];
  readonly pack: Cid | null;
  readonly manifest: Cid;
  readonly contributions: readonly Contribution[];
}

export interface StatedPush {
  readonly record: DagBlock;
  readonly contributionsRoot: Bytes32;
  readonly chainHead: Bytes32;
}

/** Longest author name that a record keeps, in UTF-16 units. */
const authorNameUnitsMax = 256;
/** Authors that a record lists; commits of authors beyond them would make one block too large for IPFS peers. */
const authorsMax = 4096;

/** Who contributed what: the authors of the commits that the Push brought, largest first. */
export function attribute(repo: RepoId, commits: Iterable<IntroducedCommit>): Contribution[] {
  return contributionsOf(repo, commits)
    .slice(0, authorsMax)
    .map((contribution) => ({ ...contribution, name: cleanName(contribution.name) }));
}

/** The record of a Push, and the repository's chain hash with it. */
export function statePush(push: AcceptedPush): StatedPush {
  const root = contributionsRoot(push.contributions);
  const record = encodeRecord({ version: 1, ...push, contributionsRoot: root });
  const leaf = leafHash({
    repo: push.repo,
    seq: push.seq,
    previous: push.previous,
    record: digestOfCid(record.cid),
    manifest: digestOfCid(push.manifest),
    contributionsRoot: root,
    pusher: push.pusher,
  });
  return { record, contributionsRoot: root, chainHead: headAfter(push.previous, push.seq, leaf) };
}

/** Names come from commits, so from anyone: well-formed Unicode, no control characters, bounded. */
function cleanName(name: string): string {
  return name
    .replace(/\p{Cc}+/gu, " ")
    .slice(0, authorNameUnitsMax)
    .toWellFormed();
}
