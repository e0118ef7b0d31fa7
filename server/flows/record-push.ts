import { attribute, statePush } from "../../hooks/post-receive.ts";
import { type Contribution, type IntroducedCommit } from "../domain/contribution.ts";
import type { DagBlock } from "../domain/dag-block.ts";
import { GitdError } from "../domain/errors.ts";
import { type Address, type Cid, type Oid, formatRepoPath, isZeroOid } from "../domain/ids.ts";
import {
  type Manifest,
  type PackValue,
  type RefValue,
  encodeManifest,
  packCodec,
  parseManifest,
  refCodec,
} from "../domain/manifest.ts";
import type { Pack, RefUpdate } from "../domain/push.ts";
import { type SortedMapUpdate, buildSortedMap, updateSortedMap } from "../domain/sorted-map.ts";
import type { ValueCodec } from "../domain/sorted-map-page.ts";
import type { ContentStore } from "../content/port.ts";
import type { PushCommit, Repository, RepositoryLedger } from "../ledger/port.ts";
import { blocksBelow } from "./pack-blocks.ts";

export interface RecordPushParts {
  readonly ledger: Pick<RepositoryLedger, "commitPush" | "repositoryById" | "noteBlocks" | "packs" | "refs">;
  readonly content: Pick<ContentStore, "putBlocks" | "getBlock">;
  readonly chainId: bigint;
  readonly registry: Address;
  readonly nowSeconds: () => bigint;
}

/** A Push whose pack is durable and whose objects are complete, about to become true. */
export interface PreparedPush {
  readonly updates: readonly RefUpdate[];
  readonly atomic: boolean;
  readonly pushOptions: readonly string[];
  readonly pusher: Address;
  readonly pack: Pack | undefined;
  /** What each annotated tag among the new oids stands for. */
  readonly peeled: ReadonlyMap<Oid, Oid | undefined>;
  /** The commits that these updates bring to the repository as it is now. */
  readonly introduced: (repository: Repository, updates: readonly RefUpdate[]) => Promise<IntroducedCommit[]>;
}

/** What became of a Push; `recorded` is undefined when every update was refused. */
export interface RecordOutcome {
  readonly refused: ReadonlyMap<string, string>;
  readonly recorded: RecordedPush | undefined;
}

export interface RecordedPush {
  readonly repository: Repository;
  readonly manifest: Cid;
  readonly record: Cid;
  readonly contributions: readonly Contribution[];
}

/** Each attempt is lost only to another Push of the same repository that was accepted meanwhile. */
const attemptsMax = 50;

/**
 * Writes Manifest and record, and commits the Push: optimistic, so whoever commits first wins and the others write
 * theirs anew on top. Refs that moved meanwhile are refused, all of them if the Push is atomic.
 */
export async function recordPush(
  parts: RecordPushParts,
  repository: Repository,
  push: PreparedPush,
  signal: AbortSignal,
): Promise<RecordOutcome> {
  const refused = new Map<string, string>();
  let updates = push.updates;
  let current = repository;
  if (push.pack !== undefined) {
    const below = await blocksBelow(push.pack.cid, parts.content, signal);
    if (below.length > 0) await parts.ledger.noteBlocks(current.id, below);
  }
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    signal.throwIfAborted();
    const { commit, contributions } = await prepareCommit(parts, current, { ...push, updates }, signal);
    const outcome = await parts.ledger.commitPush(commit);
    if (outcome.kind === "committed") {
      const { manifest, record } = commit;
      return { refused, recorded: { repository: outcome.repository, manifest, record, contributions } };
    }
    if (outcome.kind === "ref-moved") {
      const moved = new Set(outcome.refs);
      for (const { ref } of updates) {
        if (moved.has(ref)) refused.set(ref, "it was moved by another push meanwhile; fetch first");
        else if (push.atomic) refused.set(ref, "atomic push failed: another ref of it was moved meanwhile");
      }
      updates = updates.filter((update) => !refused.has(update.ref));
      if (updates.length === 0) return { refused, recorded: undefined };
    }
    current = await reload(parts, current);
  }
  throw new GitdError("unavailable", `${attemptsMax} other pushes to this repository came first`, {
    fix: "push again",
  });
}

async function reload(parts: RecordPushParts, repository: Repository): Promise<Repository> {
  const current = await parts.ledger.repositoryById(repository.id);
  if (current !== undefined) return current;
  throw new GitdError("repo-not-found", `${formatRepoPath(repository.path)} was removed during the push`);
}

async function prepareCommit(
  parts: RecordPushParts,
  repository: Repository,
  push: PreparedPush,
  signal: AbortSignal,
): Promise<{ commit: PushCommit; contributions: readonly Contribution[] }> {
  const head = headAfterPush(repository, push.updates);
  const { manifest, pages } = await writeManifest(parts, { ...repository, head }, push, signal);
  const time = parts.nowSeconds();
  const contributions = attribute(repository.id, await push.introduced(repository, push.updates));
  const stated = statePush({
    chainId: parts.chainId,
    registry: parts.registry,
    repo: repository.id,
    path: formatRepoPath(repository.path),
    objectFormat: repository.objectFormat,
    seq: repository.seq + 1n,
    previous: repository.chainHead,
    pusher: push.pusher,
    time,
    updates: push.updates,
    pushOptions: push.pushOptions,
    pack: push.pack?.cid ?? null,
    manifest: manifest.cid,
    contributions,
  });
  const blocks = new Map([
    ...pages,
    [manifest.cid, manifest.bytes],
    [stated.record.cid, stated.record.bytes],
  ]);
  await parts.content.putBlocks(blocks, { signal });
  if (pages.size > 0) await parts.ledger.noteBlocks(repository.id, [...pages.keys()]);
  const commit: PushCommit = {
    repo: repository.id,
    version: repository.version,
    seq: repository.seq + 1n,
    previous: repository.chainHead,
    chainHead: stated.chainHead,
    record: stated.record.cid,
    manifest: manifest.cid,
    contributionsRoot: stated.contributionsRoot,
    pusher: push.pusher,
    time,
    updates: push.updates.map((update) => withPeeled(update, push.peeled)),
    pack: push.pack,
    contributions,
    ...(head === repository.head ? {} : { head }),
  };
  return { commit, contributions };
}

async function writeManifest(
  parts: RecordPushParts,
  repository: Repository,
  push: PreparedPush,
  signal: AbortSignal,
): Promise<{ manifest: DagBlock; pages: ReadonlyMap<Cid, Uint8Array> }> {
  const load = (cid: Cid): Promise<Uint8Array> => parts.content.getBlock(cid, { signal });
  const before = repository.manifest === null ? undefined : parseManifest(await load(repository.manifest));
  const refChanges = new Map<string, RefValue | undefined>(
    push.updates.map((update) => [
      update.ref,
      isZeroOid(update.new) ? undefined : { oid: update.new, peeled: push.peeled.get(update.new) },
    ]),
  );
  const packChanges = new Map<string, PackValue | undefined>();
  if (push.pack !== undefined) {
    const { checksum, ...pack } = push.pack;
    packChanges.set(checksum, pack);
  }
  const refs = await changeMap(before?.refs, refChanges, refCodec(repository.objectFormat), load);
  const packs = await changeMap(before?.packs, packChanges, packCodec, load);
  const manifest: Manifest = {
    repo: repository.id,
    path: formatRepoPath(repository.path),
    objectFormat: repository.objectFormat,
    seq: repository.seq + 1n,
    previous: repository.manifest,
    head: repository.head,
    refs: refs.root,
    packs: packs.root,
  };
  return { manifest: encodeManifest(manifest), pages: new Map([...refs.blocks, ...packs.blocks]) };
}

async function changeMap<V>(
  root: Cid | undefined,
  changes: ReadonlyMap<string, V | undefined>,
  codec: ValueCodec<V>,
  load: (cid: Cid) => Promise<Uint8Array>,
): Promise<SortedMapUpdate> {
  if (root !== undefined) return updateSortedMap(root, changes, codec, load);
  const present = [...changes].filter((change): change is [string, V] => change[1] !== undefined);
  return buildSortedMap(present, codec);
}

/** HEAD follows the first Push: to the branch it stands for already if that was pushed, else main, master, or the first branch. */
function headAfterPush(repository: Repository, updates: readonly RefUpdate[]): string {
  if (repository.seq !== 0n) return repository.head;
  const branches = updates
    .filter((update) => update.ref.startsWith("refs/heads/") && !isZeroOid(update.new))
    .map((update) => update.ref);
  const wanted = [repository.head, "refs/heads/main", "refs/heads/master"];
  return wanted.find((ref) => branches.includes(ref)) ?? branches[0] ?? repository.head;
}

function withPeeled(update: RefUpdate, peeled: PreparedPush["peeled"]): PushCommit["updates"][number] {
  const target = peeled.get(update.new);
  return target === undefined ? update : { ...update, peeled: target };
}
