import type { ObjectFormat, Oid } from "../domain/ids.ts";
import type { IntroducedCommit } from "../domain/contribution.ts";
import type { Pack, Ref } from "../domain/push.ts";

export interface AbortOptions {
  readonly signal: AbortSignal;
}

/** A bare repository on local disk that holds every pack of one state. */
export interface RepoView {
  /** Passed to git as `--git-dir`. */
  readonly gitDir: string;
  /** Where its packs are; stays when the view is pruned. */
  readonly objectsDir: string;
  readonly objectFormat: ObjectFormat;
}

/** What the cache needs to know to give a view: all of it comes from the ledger. */
export interface RepoState {
  readonly repo: string;
  readonly version: bigint;
  readonly objectFormat: ObjectFormat;
  readonly head: string;
  readonly packs: readonly Pack[];
  refs(): Iterable<Ref>;
}

/** Local bare repositories. They are a cache: deleting the folder only costs time. */
export interface RepoCache {
  /** Law: the view has every pack and exactly the refs of `state`; two calls at once do the work once. */
  view(state: RepoState, options: AbortOptions): Promise<RepoView>;
  /** As {@link view}, but without refs, so that its cost does not grow with them: what a Push is checked against. */
  store(state: Omit<RepoState, "refs" | "head" | "version">, options: AbortOptions): Promise<RepoView>;
  /** Law: after it, a later {@link view} finds the pack without asking the content store. */
  adopt(repo: string, received: ReceivedPack): Promise<void>;
}

/** A pack that passed index-pack and lies in quarantine: no view shows it. */
export interface ReceivedPack {
  readonly checksum: string;
  readonly packPath: string;
  readonly indexPath: string;
  readonly sizeBytes: bigint;
  readonly objects: number;
}

/** An unfinished Push's objects. Disposing removes what was not adopted. */
export interface Quarantine extends AsyncDisposable {
  /** Undefined when the pack has no object or the Push only deletes. */
  readonly pack: ReceivedPack | undefined;
  /** Law: throws `push-refused` naming the first missing object if a new tip does not reach only present objects. */
  checkConnected(tips: readonly Oid[], known: readonly Oid[], options: AbortOptions): Promise<void>;
  /**
   * Commits that this Push brought: reachable from `tips`, not from `known`, and not in the repository before. Newest first.
   * `known` only saves work: naming few oids is right, if slower.
   */
  introduced(tips: readonly Oid[], known: readonly Oid[], options: AbortOptions): Promise<IntroducedCommit[]>;
  /** Peels annotated tags to the object they stand for; undefined for what is not a tag. */
  peel(oids: readonly Oid[], options: AbortOptions): Promise<Map<Oid, Oid | undefined>>;
}

export interface ReceiveLimits {
  readonly packBytesMax: bigint;
}

/** git itself, run as child processes with an allow-listed environment; the process group dies with the signal. */
export interface GitEngine {
  /** Law: a pack that fails `index-pack --strict` throws `push-refused`, and nothing of it is left on disk. */
  receivePack(
    view: RepoView,
    pack: AsyncIterable<Uint8Array>,
    limits: ReceiveLimits,
    options: AbortOptions & { readonly onProgress: (text: string) => void },
  ): Promise<Quarantine>;
  /** A quarantine for a Push that carries no pack. */
  withoutPack(view: RepoView, options: AbortOptions): Promise<Quarantine>;
  /** `git upload-pack --stateless-rpc`: the raw response to a raw request. `protocol` is the Git-Protocol header, checked. */
  uploadPack(
    view: RepoView,
    request: AsyncIterable<Uint8Array>,
    options: AbortOptions & { readonly protocol: string },
  ): AsyncIterable<Uint8Array>;
  version(): Promise<string>;
}
