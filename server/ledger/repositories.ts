import { sql } from "kysely";
import { zeroBytes32 } from "../domain/chain-hash.ts";
import { GitdError } from "../domain/errors.ts";
import {
  type Address,
  type Cid,
  type RepoId,
  type RepoPath,
  formatRepoPath,
  parseRepoPath,
  repoIdOf,
} from "../domain/ids.ts";
import type { Pack, Ref } from "../domain/push.ts";
import type { Db, Engine } from "./engine.ts";
import type { NewRepository, Repository, RepositoryLedger } from "./port.ts";
import type { RepositoryRow } from "./tables.ts";

type Repositories = Omit<RepositoryLedger, "commitPush" | "pushes" | "updatesSince">;

const rowsPerInsert = 500;
const holdersMax = 1_000;

export function repositoryLedger(engine: Engine): Repositories {
  return {
    repository: (path) => engine.read((db) => findByPath(db, path)),
    repositoryById: (id) =>
      engine.read(async (db) => {
        const row = await db.selectFrom("repositories").selectAll().where("id", "=", id).executeTakeFirst();
        return row === undefined ? undefined : toRepository(row);
      }),
    repositoryVersion: (id) =>
      engine.read(async (db) => {
        const found = await sql<{
          version: bigint;
        }>`select version from repositories where id = ${id}`.execute(db);
        return found.rows[0]?.version;
      }),
    repositoriesOf: (account, limit) => engine.read((db) => repositoriesOf(db, account, limit)),
    createRepository: (repository, now) => engine.write((db) => createRepository(db, repository, now)),
    configure: (id, change) => engine.write((db) => configure(db, engine, id, change)),
    refs: (id) => engine.read((db) => refs(db, id)),
    packs: (id) => engine.read((db) => packs(db, id)),
    repositoriesHolding: (cid) =>
      engine.read(async (db) => {
        const query = db.selectFrom("blocks").select("repo").where("cid", "=", cid).limit(holdersMax);
        const rows = await query.execute();
        return rows.map(({ repo }) => repo as RepoId);
      }),
    noteBlocks: (id, cids) => engine.write((db) => noteBlocks(db, id, cids)),
    ...rights(engine),
  };
}

type Rights = Pick<
  Repositories,
  "isWriter" | "writers" | "setWriter" | "namespaceOwner" | "setNamespaceOwner"
>;

function rights(engine: Engine): Rights {
  return {
    isWriter: (id, account) =>
      engine.read(async (db) => {
        const found = await sql`select 1 from writers where repo = ${id} and account = ${account}`.execute(
          db,
        );
        return found.rows.length > 0;
      }),
    writers: (id) =>
      engine.read(async (db) => {
        const rows = await db
          .selectFrom("writers")
          .select("account")
          .where("repo", "=", id)
          .orderBy("account")
          .execute();
        return rows.map(({ account }) => account);
      }),
    setWriter: (repo, account, allowed) =>
      engine.write(async (db) => {
        if (allowed) {
          const insert = db.insertInto("writers").values({ repo, account });
          await insert.onConflict((conflict) => conflict.doNothing()).execute();
        } else {
          await db.deleteFrom("writers").where("repo", "=", repo).where("account", "=", account).execute();
        }
      }),
    namespaceOwner: (name) =>
      engine.read(async (db) => {
        const query = db.selectFrom("namespaces").select("owner").where("name", "=", name);
        return (await query.executeTakeFirst())?.owner;
      }),
    setNamespaceOwner: (name, owner) =>
      engine.write(async (db) => {
        const insert = db.insertInto("namespaces").values({ name, owner });
        await insert.onConflict((conflict) => conflict.column("name").doUpdateSet({ owner })).execute();
      }),
  };
}

export function toRepository(row: RepositoryRow): Repository {
  return {
    id: row.id as RepoId,
    path: parseRepoPath(row.path),
    owner: row.owner,
    objectFormat: row.object_format,
    head: row.head,
    policy: row.policy,
    price: { perCall: row.price_per_call, perGib: row.price_per_gib },
    version: row.version,
    seq: row.seq,
    chainHead: row.chain_head,
    manifest: row.manifest,
    createdAt: row.created_at,
  };
}

/** The repository's row, which stays as it is until the transaction ends; throws `repo-not-found`. */
export async function lockRepository(db: Db, engine: Engine, id: RepoId): Promise<RepositoryRow> {
  const found =
    await sql<RepositoryRow>`select * from repositories where id = ${id} ${engine.forUpdate}`.execute(db);
  const row = found.rows[0];
  if (row === undefined) throw new GitdError("repo-not-found", "the ledger has no such repository");
  return row;
}

/** Notes that the repository owns these Cids; noting one again is harmless. */
export async function noteBlocks(db: Db, repo: RepoId, cids: readonly Cid[]): Promise<void> {
  for (let at = 0; at < cids.length; at += rowsPerInsert) {
    const rows = cids.slice(at, at + rowsPerInsert).map((cid) => ({ cid, repo }));
    const insert = db.insertInto("blocks").values(rows);
    await insert.onConflict((conflict) => conflict.doNothing()).execute();
  }
}

async function findByPath(db: Db, path: RepoPath): Promise<Repository | undefined> {
  const text = formatRepoPath(path);
  const found = await sql<RepositoryRow>`select * from repositories where path = ${text}`.execute(db);
  const row = found.rows[0];
  return row === undefined ? undefined : toRepository(row);
}

async function repositoriesOf(db: Db, account: Address, limit: number): Promise<Repository[]> {
  const rows = await db
    .selectFrom("repositories")
    .selectAll()
    .where("owner", "=", account)
    .orderBy("path")
    .limit(limit)
    .execute();
  return rows.map(toRepository);
}

async function createRepository(db: Db, repository: NewRepository, now: bigint): Promise<Repository> {
  const row: RepositoryRow = {
    id: repoIdOf(repository.path),
    path: formatRepoPath(repository.path),
    owner: repository.owner,
    object_format: repository.objectFormat,
    head: repository.head,
    policy: repository.policy,
    price_per_call: repository.price.perCall,
    price_per_gib: repository.price.perGib,
    version: 0n,
    seq: 0n,
    chain_head: zeroBytes32,
    manifest: null,
    created_at: now,
  };
  const insert = db.insertInto("repositories").values(row);
  const result = await insert.onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  if (result.numInsertedOrUpdatedRows !== 1n) {
    throw new GitdError("conflict", `there is a repository at ${row.path} already`, {
      fix: "choose another name",
    });
  }
  return toRepository(row);
}

async function configure(
  db: Db,
  engine: Engine,
  id: RepoId,
  change: Parameters<Repositories["configure"]>[1],
): Promise<Repository> {
  const before = await lockRepository(db, engine, id);
  const head = change.head ?? before.head;
  const after = {
    ...before,
    head,
    policy: change.policy ?? before.policy,
    price_per_call: change.price?.perCall ?? before.price_per_call,
    price_per_gib: change.price?.perGib ?? before.price_per_gib,
    version: head === before.head ? before.version : before.version + 1n,
  };
  const { policy, price_per_call, price_per_gib, version } = after;
  await db
    .updateTable("repositories")
    .set({ head, policy, price_per_call, price_per_gib, version })
    .where("id", "=", id)
    .execute();
  return toRepository(after);
}

async function refs(db: Db, id: RepoId): Promise<Ref[]> {
  const rows = await db
    .selectFrom("refs")
    .select(["name", "oid", "peeled"])
    .where("repo", "=", id)
    .orderBy("name")
    .execute();
  return rows.map(({ name, oid, peeled }) => (peeled === null ? { name, oid } : { name, oid, peeled }));
}

async function packs(db: Db, id: RepoId): Promise<Pack[]> {
  const rows = await db.selectFrom("packs").selectAll().where("repo", "=", id).orderBy("checksum").execute();
  return rows.map(({ checksum, cid, size_bytes, objects }) => ({
    checksum,
    cid,
    sizeBytes: size_bytes,
    objects: Number(objects),
  }));
}
