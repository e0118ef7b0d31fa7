import { GitdError } from "../domain/errors.ts";
import type { RepoId, RepoPath } from "../domain/ids.ts";
import type { Pack, Ref } from "../domain/push.ts";
import type { RepoCache, RepoView } from "../git/port.ts";
import { RefTable } from "../git/ref-table.ts";
import type { Repository, RepositoryLedger } from "../ledger/port.ts";

export interface OpenRepositoriesParts {
  readonly ledger: Pick<RepositoryLedger, "repository" | "refs" | "packs" | "updatesSince">;
  readonly cache: Pick<RepoCache, "view" | "store">;
  /** Memory that ref tables may take together. */
  readonly tableBytesMax: number;
}

/** One state of a repository: row, refs and packs belong together. */
export interface OpenRepository {
  readonly repository: Repository;
  readonly refs: RefTable;
  /** A bare repository with exactly this state. */
  view(signal: AbortSignal): Promise<RepoView>;
  /** A bare repository with this state's objects and no refs: what a Push is checked against. */
  store(signal: AbortSignal): Promise<RepoView>;
  /** Bytes of all packs: what a clone takes, about. */
  packBytes(): Promise<bigint>;
}

interface KnownState {
  readonly version: bigint;
  readonly refs: RefTable;
  packs: Promise<readonly Pack[]> | undefined;
}

/** A table that misses this many pushes is loaded afresh. */
const catchUpVersionsMax = 1000n;
/** Tries to read a state between two pushes. */
const attemptsMax = 20;

/**
 * Ref tables in memory, so that refs are answered without a process. Every request asks the ledger for the repository's
 * row, whose version says which updates the table still lacks.
 */
export class OpenRepositories {
  readonly #parts: OpenRepositoriesParts;
  /** Least recently used first. */
  readonly #known = new Map<RepoId, KnownState>();
  #tableBytes = 0;

  constructor(parts: OpenRepositoriesParts) {
    this.#parts = parts;
  }

  get tableBytes(): number {
    return this.#tableBytes;
  }

  /** The repository's newest state; undefined if there is no such repository. */
  async open(path: RepoPath): Promise<OpenRepository | undefined> {
    let repository = await this.#parts.ledger.repository(path);
    for (let attempt = 0; attempt < attemptsMax && repository !== undefined; attempt += 1) {
      const known = this.#known.get(repository.id);
      if (known !== undefined && known.version === repository.version) {
        this.#keep(repository.id, known);
        return this.#opened(repository, known);
      }
      const refs = await this.#refsAt(repository, known);
      // NOTE: refs are read after the row; only if the row still stands do they belong together.
      const after = await this.#parts.ledger.repository(path);
      if (after?.version === repository.version) {
        this.#keep(repository.id, { version: after.version, refs, packs: undefined });
      }
      repository = after;
    }
    if (repository === undefined) return undefined;
    throw new GitdError("unavailable", "the repository changes faster than its refs can be read", {
      fix: "try again",
      retryAfterSeconds: 1,
    });
  }

  async #refsAt(repository: Repository, known: KnownState | undefined): Promise<RefTable> {
    const behind = known === undefined ? undefined : repository.version - known.version;
    if (known !== undefined && behind !== undefined && behind > 0n && behind <= catchUpVersionsMax) {
      return known.refs.apply(await this.#parts.ledger.updatesSince(repository.id, known.version));
    }
    return RefTable.from(await this.#parts.ledger.refs(repository.id), repository.objectFormat);
  }

  #keep(id: RepoId, state: KnownState): void {
    const before = this.#known.get(id);
    if (before !== undefined) {
      this.#known.delete(id);
      this.#tableBytes -= before.refs.byteLength;
    }
    this.#known.set(id, state);
    this.#tableBytes += state.refs.byteLength;
    for (const [oldest, other] of this.#known) {
      if (this.#tableBytes <= this.#parts.tableBytesMax || oldest === id) break;
      this.#known.delete(oldest);
      this.#tableBytes -= other.refs.byteLength;
    }
  }

  #opened(repository: Repository, state: KnownState): OpenRepository {
    const packs = (): Promise<readonly Pack[]> => {
      state.packs ??= this.#parts.ledger.packs(repository.id).catch((error: unknown) => {
        state.packs = undefined;
        throw error;
      });
      return state.packs;
    };
    return {
      repository,
      refs: state.refs,
      view: async (signal) => {
        const { version, objectFormat, head } = repository;
        const repo = cacheNameOf(repository);
        const refs = (): Iterable<Ref> => state.refs.refs();
        return this.#parts.cache.view(
          { repo, version, objectFormat, head, packs: await packs(), refs },
          { signal },
        );
      },
      store: async (signal) => {
        const { objectFormat } = repository;
        const repo = cacheNameOf(repository);
        return this.#parts.cache.store({ repo, objectFormat, packs: await packs() }, { signal });
      },
      packBytes: async () => (await packs()).reduce((sum, pack) => sum + pack.sizeBytes, 0n),
    };
  }
}

/**
 * What the cache calls a repository. The object format is part of it, as a refused first push in one format must not
 * get in the way of a repository in another.
 */
export function cacheNameOf({ id, objectFormat }: Pick<Repository, "id" | "objectFormat">): string {
  return objectFormat === "sha1" ? id : `${id}/${objectFormat}`;
}
