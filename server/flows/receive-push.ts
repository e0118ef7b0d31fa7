import { refuseUpdates } from "../../hooks/pre-receive.ts";
import { hidden } from "../../hooks/pre-upload.ts";
import { GitdError, isGitdError } from "../domain/errors.ts";
import {
  type ObjectFormat,
  type Oid,
  type RepoPath,
  formatRepoPath,
  isZeroOid,
  zeroOid,
} from "../domain/ids.ts";
import type { Pack, RefUpdate } from "../domain/push.ts";
import type { ContentStore } from "../content/port.ts";
import type { GitEngine, Quarantine, RepoCache, RepoView } from "../git/port.ts";
import type { RefTable } from "../git/ref-table.ts";
import type { Repository } from "../ledger/port.ts";
import type { Admittance } from "./admit.ts";
import { type CreateOnPushParts, createFuture, futureRepository, ownsNamespace } from "./create-on-push.ts";
import type { Granted, Identity } from "./identity.ts";
import { type OpenRepositories, cacheNameOf } from "./open-repo.ts";
import { type PreparedPush, type RecordOutcome, type RecordPushParts, recordPush } from "./record-push.ts";
import { KeyedTurns } from "./turns.ts";

export interface ReceivePushParts {
  readonly ledger: RecordPushParts["ledger"] & CreateOnPushParts["ledger"];
  readonly content: RecordPushParts["content"] & Pick<ContentStore, "addFile">;
  readonly engine: Pick<GitEngine, "receivePack" | "withoutPack">;
  readonly cache: RepoCache;
  readonly repositories: OpenRepositories;
  readonly admittance: Admittance;
  readonly chain: Pick<RecordPushParts, "chainId" | "registry">;
  readonly defaults: CreateOnPushParts["defaults"];
  readonly packBytesMax: bigint;
  readonly nowSeconds: () => bigint;
  /** Told what went wrong after a Push was committed: it stays accepted. */
  readonly onLateError: (error: unknown) => void;
}

/** A Push as its client states it, before a byte of its pack is read. */
export interface StatedUpdates {
  readonly updates: readonly RefUpdate[];
  readonly objectFormat: ObjectFormat;
  readonly atomic: boolean;
  readonly pushOptions: readonly string[];
  /** True when the client's own history is cut off. */
  readonly isShallow: boolean;
}

export interface PushSource {
  /** Read only if an update that was not refused brings objects. */
  readonly pack: AsyncIterable<Uint8Array>;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
}

/** What became of each ref, and what was recorded. */
export interface PushReport {
  readonly refused: ReadonlyMap<string, string>;
  readonly recorded: RecordOutcome["recorded"];
}

/** A repository that takes pushes from this sender: one that exists, or the one that its first push creates. */
export interface PushTarget {
  readonly granted: Granted;
  readonly repository: Repository;
  /** Undefined for a repository that does not exist yet. */
  readonly refs: RefTable | undefined;
  store(signal: AbortSignal): Promise<RepoView>;
}

/** Pushes of one repository that may wait for their turn to commit. */
const committersMax = 256;

/** Receives Pushes. A Push is acknowledged when its pack is durable and its transaction has committed, never before. */
export class PushReceiver {
  readonly #parts: ReceivePushParts;
  readonly #committing = new KeyedTurns(committersMax);

  constructor(parts: ReceivePushParts) {
    this.#parts = parts;
  }

  /** The repository to push to; throws the refusal for who may not. */
  async target(identity: Identity, path: RepoPath, objectFormat: ObjectFormat = "sha1"): Promise<PushTarget> {
    const { admittance, cache, ledger, repositories } = this.#parts;
    const open = await repositories.open(path);
    if (open !== undefined) {
      const granted = await admittance.checkWrite(identity, open.repository);
      return { granted, repository: open.repository, refs: open.refs, store: (signal) => open.store(signal) };
    }
    const mayCreate =
      identity.kind === "granted" && (await ownsNamespace(ledger, identity.account, path.namespace));
    if (identity.kind === "granted" && !mayCreate) throw hidden();
    const owner = identity.kind === "granted" ? identity.account : anyone;
    const repository = futureRepository(this.#createParts(), path, owner, objectFormat);
    const granted = await admittance.checkWrite(identity, repository);
    const state = { repo: cacheNameOf(repository), objectFormat, packs: [] };
    return { granted, repository, refs: undefined, store: (signal) => cache.store(state, { signal }) };
  }

  /** Law: when it returns a report, what the report says was accepted is durable; when it throws, nothing was changed. */
  async receive(
    identity: Identity,
    path: RepoPath,
    stated: StatedUpdates,
    source: PushSource,
  ): Promise<PushReport> {
    const target = await this.target(identity, path, stated.objectFormat);
    if (target.repository.objectFormat !== stated.objectFormat) {
      throw new GitdError(
        "push-refused",
        `${formatRepoPath(path)} is a ${target.repository.objectFormat} repository, and the push is ${stated.objectFormat}`,
        {
          fix: `create one that fits: gitd repo create --object-format ${stated.objectFormat} <namespace>/<name>`,
        },
      );
    }
    const refused = policyRefusals(target, stated);
    if (stated.atomic && refused.size > 0)
      return { refused: refuseRest(stated.updates, refused), recorded: undefined };
    const updates = stated.updates.filter((update) => !refused.has(update.ref) && update.old !== update.new);
    if (updates.length === 0) return { refused, recorded: undefined };
    const { signal } = source;
    const view = await target.store(signal);
    await using quarantine = await this.#quarantine(view, updates, stated, source);
    for (const [ref, reason] of await unconnected(quarantine, updates, target, stated, signal))
      refused.set(ref, reason);
    const peeled = await quarantine.peel(newOids(updates), { signal });
    for (const { ref, new: oid } of updates) {
      if (ref.startsWith("refs/heads/") && peeled.get(oid) !== undefined)
        refused.set(ref, "a branch must be a commit");
    }
    if (stated.atomic && refused.size > 0)
      return { refused: refuseRest(stated.updates, refused), recorded: undefined };
    const good = updates.filter((update) => !refused.has(update.ref));
    if (good.length === 0) return { refused, recorded: undefined };
    const outcome = await this.#commit(target, quarantine, { stated, updates: good, peeled }, signal);
    return { refused: new Map([...refused, ...outcome.refused]), recorded: outcome.recorded };
  }

  async #quarantine(
    view: RepoView,
    updates: readonly RefUpdate[],
    stated: StatedUpdates,
    { signal, onProgress, pack }: PushSource,
  ): Promise<Quarantine> {
    const { engine, packBytesMax } = this.#parts;
    if (updates.every((update) => isZeroOid(update.new))) return engine.withoutPack(view, { signal });
    try {
      return await engine.receivePack(view, pack, { packBytesMax }, { signal, onProgress });
    } catch (error) {
      throw stated.isShallow && isGitdError(error, "push-refused") ? shallowRefusal(error) : error;
    }
  }

  async #commit(
    target: PushTarget,
    quarantine: Quarantine,
    push: {
      readonly stated: StatedUpdates;
      readonly updates: readonly RefUpdate[];
      readonly peeled: ReadonlyMap<Oid, Oid | undefined>;
    },
    signal: AbortSignal,
  ): Promise<RecordOutcome> {
    const { cache, chain, content, ledger, nowSeconds } = this.#parts;
    const pack = await this.#store(quarantine, signal);
    const prepared: PreparedPush = {
      ...push,
      atomic: push.stated.atomic,
      pushOptions: push.stated.pushOptions,
      pusher: target.granted.account,
      pack,
      introduced: async (current, updates) => {
        await this.#bringUp(target, current, signal);
        return quarantine.introduced(newOids(updates), knownTo(target, updates), { signal });
      },
    };
    using _turn = await this.#committing.take(target.repository.id, signal);
    const repository =
      target.refs === undefined
        ? await createFuture(this.#createParts(), target.repository)
        : target.repository;
    const outcome = await recordPush({ ledger, content, ...chain, nowSeconds }, repository, prepared, signal);
    if (outcome.recorded !== undefined && quarantine.pack !== undefined) {
      try {
        await cache.adopt(cacheNameOf(repository), quarantine.pack);
      } catch (error) {
        // NOTE: the cache can always be filled again from the content store; the Push is already true.
        this.#parts.onLateError(error);
      }
    }
    return outcome;
  }

  async #store(quarantine: Quarantine, signal: AbortSignal): Promise<Pack | undefined> {
    if (quarantine.pack === undefined) return undefined;
    const { checksum, packPath, objects } = quarantine.pack;
    const stored = await this.#parts.content.addFile(packPath, { signal });
    return { checksum, objects, cid: stored.cid, sizeBytes: stored.sizeBytes };
  }

  /** If others pushed meanwhile, a store at their state brings their commits into reach, so that these do not count again. */
  async #bringUp(target: PushTarget, current: Repository, signal: AbortSignal): Promise<void> {
    if (current.version === target.repository.version || target.refs === undefined) return;
    const open = await this.#parts.repositories.open(current.path);
    await open?.store(signal);
  }

  #createParts(): CreateOnPushParts {
    const { ledger, defaults, nowSeconds } = this.#parts;
    return { ledger, defaults, nowSeconds };
  }
}

const anyone = `0x${"0".repeat(40)}` as Granted["account"];

function policyRefusals(target: PushTarget, stated: StatedUpdates): Map<string, string> {
  const { refs, repository } = target;
  const refused = refuseUpdates({
    updates: stated.updates,
    pushOptions: stated.pushOptions,
    head: repository.head,
    hasRef: (name) => refs?.get(name) !== undefined,
    hasRefBelow: (prefix) => refs?.hasBelow(prefix) ?? false,
  });
  for (const { ref, old } of stated.updates) {
    const now = refs?.get(ref)?.oid ?? zeroOid(repository.objectFormat);
    if (now === old || refused.has(ref)) continue;
    if (isZeroOid(now)) refused.set(ref, "it does not exist any more; fetch first");
    else
      refused.set(
        ref,
        isZeroOid(old)
          ? "reference already exists; fetch first"
          : "it was moved by another push; fetch first",
      );
  }
  return refused;
}

/** The updates whose history is not whole, each with the reason; found one by one only if there are any. */
async function unconnected(
  quarantine: Quarantine,
  updates: readonly RefUpdate[],
  target: PushTarget,
  stated: StatedUpdates,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const known = knownTo(target, updates);
  const check = async (some: readonly RefUpdate[]): Promise<string | undefined> => {
    const tips = newOids(some);
    if (tips.length === 0) return undefined;
    try {
      await quarantine.checkConnected(tips, known, { signal });
      return undefined;
    } catch (error) {
      if (!isGitdError(error, "push-refused")) throw error;
      return stated.isShallow ? "shallow update not allowed" : error.message;
    }
  };
  const refused = new Map<string, string>();
  const all = await check(updates);
  if (all === undefined) return refused;
  for (const update of updates) {
    const reason = updates.length === 1 || stated.atomic ? all : await check([update]);
    if (reason !== undefined) refused.set(update.ref, reason);
  }
  return refused;
}

function newOids(updates: readonly RefUpdate[]): Oid[] {
  return [...new Set(updates.map((update) => update.new))].filter((oid) => !isZeroOid(oid));
}

/** Tips whose history is there for sure and most likely next to the new: all tips would cost in proportion to their number. */
function knownTo(target: PushTarget, updates: readonly RefUpdate[]): Oid[] {
  const known = new Set(updates.filter((update) => !isZeroOid(update.old)).map((update) => update.old));
  const headTip = target.refs?.get(target.repository.head)?.oid;
  if (headTip !== undefined) known.add(headTip);
  return [...known];
}

function refuseRest(
  updates: readonly RefUpdate[],
  refused: ReadonlyMap<string, string>,
): Map<string, string> {
  return new Map(
    updates.map(({ ref }) => [ref, refused.get(ref) ?? "atomic push failed: another ref of it was refused"]),
  );
}

function shallowRefusal(cause: GitdError): GitdError {
  return new GitdError("push-refused", `shallow update not allowed; ${cause.message}`, {
    fix: "make the history whole first: git fetch --unshallow",
    cause,
  });
}
