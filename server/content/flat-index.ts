import { DatabaseSync, type StatementSync } from "node:sqlite";
import { GitdError } from "../domain/errors.ts";
import { type Cid, parseCid } from "../domain/ids.ts";
import type { Leaf, TreeNode } from "./unixfs-layout.ts";
import { storageFailure } from "./storage-failure.ts";

const schemaVersion = 1n;
/** How long a statement waits for another process's transaction; it blocks this process meanwhile. */
const busyTimeoutMs = 5_000;
/** Files looked at that hold one leaf: more than one matters only when the first is damaged. */
const holdersMax = 16;

const schema = `
  CREATE TABLE IF NOT EXISTS file (id INTEGER PRIMARY KEY, cid TEXT NOT NULL UNIQUE, size_bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS leaf (
    digest BLOB NOT NULL, file INTEGER NOT NULL, start_bytes INTEGER NOT NULL, length_bytes INTEGER NOT NULL,
    PRIMARY KEY (digest, file)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS leaf_by_file ON leaf (file);
  CREATE TABLE IF NOT EXISTS node (cid TEXT NOT NULL, file INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS node_by_cid ON node (cid, file);
  CREATE INDEX IF NOT EXISTS node_by_file ON node (file);
  CREATE TABLE IF NOT EXISTS block (cid TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;
`;

export interface IndexedFile {
  readonly id: bigint;
  readonly sizeBytes: bigint;
}

/** Where a leaf's bytes lie. */
export interface LeafPlace {
  readonly file: Cid;
  readonly startBytes: number;
  readonly lengthBytes: number;
}

export interface NewFile {
  readonly cid: Cid;
  readonly sizeBytes: bigint;
  readonly leaves: Iterable<Leaf>;
  readonly nodes: readonly TreeNode[];
}

type Row = Record<string, unknown>;

/** The table of contents of a flat store: SQLite that several processes share. Commits are on disk when they return. */
export class FlatIndex {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: busyTimeoutMs, readBigInts: true });
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    this.transaction(() => {
      const version = this.#database.prepare("PRAGMA user_version").get()?.["user_version"];
      if (version === 0n) this.#database.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`);
      else if (version !== schemaVersion) {
        throw new GitdError(
          "storage-unavailable",
          `${path} has the layout ${String(version)}, not ${schemaVersion}`,
          {
            fix: "use the gitd version that wrote it, or a newer one",
          },
        );
      }
    });
  }

  /** Holds the one write lock of all processes while `work` runs; what it wrote is durable, or undone if it throws. */
  transaction<Result>(work: () => Result): Result {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#database.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      throw storageFailure(error);
    }
  }

  file(cid: Cid): IndexedFile | undefined {
    const row = this.#get("SELECT id, size_bytes FROM file WHERE cid = ?", cid);
    return row === undefined
      ? undefined
      : { id: row["id"] as bigint, sizeBytes: row["size_bytes"] as bigint };
  }

  addFile(file: NewFile): void {
    const insertFile = this.#statement("INSERT INTO file (cid, size_bytes) VALUES (?, ?)");
    const id = insertFile.run(file.cid, file.sizeBytes).lastInsertRowid;
    // NOTE: a file may hold one leaf many times; any one place of it will do.
    const insertLeaf = this.#statement("INSERT OR IGNORE INTO leaf VALUES (?, ?, ?, ?)");
    for (const { digest, startBytes, lengthBytes } of file.leaves)
      insertLeaf.run(digest, id, startBytes, lengthBytes);
    const insertNode = this.#statement("INSERT OR IGNORE INTO node VALUES (?, ?, ?)");
    for (const { cid, bytes } of file.nodes) insertNode.run(cid, id, bytes);
  }

  removeFile({ id }: IndexedFile): void {
    this.#statement("DELETE FROM leaf WHERE file = ?").run(id);
    this.#statement("DELETE FROM node WHERE file = ?").run(id);
    this.#statement("DELETE FROM file WHERE id = ?").run(id);
  }

  addBlock(cid: Cid, bytes: Uint8Array): void {
    this.#statement("INSERT OR IGNORE INTO block VALUES (?, ?)").run(cid, bytes);
  }

  leafPlaces(digest: Uint8Array): LeafPlace[] {
    const rows = this.#all(
      `SELECT file.cid, start_bytes, length_bytes FROM leaf JOIN file ON file.id = leaf.file
       WHERE digest = ? LIMIT ${holdersMax}`,
      digest,
    );
    return rows.map((row) => ({
      file: parseCid(row["cid"]),
      startBytes: Number(row["start_bytes"]),
      lengthBytes: Number(row["length_bytes"]),
    }));
  }

  /** A small block or a tree node; leaves lie in files. */
  block(cid: Cid): Uint8Array | undefined {
    const row = this.#get(
      "SELECT bytes FROM block WHERE cid = ?1 UNION ALL SELECT bytes FROM node WHERE cid = ?1 LIMIT 1",
      cid,
    );
    return row?.["bytes"] as Uint8Array | undefined;
  }

  /** The files that a tree node belongs to, at most {@link holdersMax}. */
  nodeHolders(cid: Cid): Cid[] {
    const rows = this.#all(
      `SELECT file.cid FROM node JOIN file ON file.id = node.file WHERE node.cid = ? LIMIT ${holdersMax}`,
      cid,
    );
    return rows.map((row) => parseCid(row["cid"]));
  }

  check(): void {
    this.#get("SELECT 1 FROM file LIMIT 1");
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #get(sql: string, ...values: (string | Uint8Array)[]): Row | undefined {
    try {
      return this.#statement(sql).get(...values);
    } catch (error) {
      throw storageFailure(error);
    }
  }

  #all(sql: string, ...values: (string | Uint8Array)[]): Row[] {
    try {
      return this.#statement(sql).all(...values);
    } catch (error) {
      throw storageFailure(error);
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
