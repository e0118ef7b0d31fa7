import { createHash } from "node:crypto";
import {
  access,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import type { Cid, ObjectFormat } from "../domain/ids.ts";
import type { Pack } from "../domain/push.ts";
import { type GitHome, runGit } from "./child.ts";
import type { AbortOptions, ReceivedPack, RepoCache, RepoState, RepoView } from "./port.ts";

export interface RepoCacheParts {
  readonly folder: string;
  readonly home: GitHome;
  /** Brings a pack to local disk; the file must not be written to. */
  readonly localPath: (cid: Cid, options: AbortOptions) => Promise<string>;
}

/** A view that no request started to use for this long may go: git reads a view's refs when it starts. */
const viewGraceMs = 10 * 60_000;
const indexOutputBytesMax = 64 * 1024;

type PackState = Pick<RepoState, "repo" | "packs" | "objectFormat">;

/**
 * Bare repositories: packs linked from the content store and shared by all states, and for each state that was asked
 * for a small folder with its refs. Everything is built aside and renamed into place, so that several processes can
 * share the folder and a crash leaves nothing half-made.
 */
export class DiskRepoCache implements RepoCache {
  readonly #parts: RepoCacheParts;
  readonly #building = new Map<string, Promise<unknown>>();

  constructor(parts: RepoCacheParts) {
    this.#parts = parts;
  }

  async view(state: RepoState, options: AbortOptions): Promise<RepoView> {
    const folder = this.#folderOf(state.repo);
    const { objectsDir } = await this.store(state, options);
    const gitDir = join(folder, "views", String(state.version));
    await this.#once(gitDir, async () => {
      if (await exists(join(gitDir, "HEAD"))) return;
      await this.#build(gitDir, objectsDir, state.objectFormat, state.head, packedRefs(state));
      await pruneViews(join(folder, "views"), state.version);
    });
    return { gitDir, objectsDir, objectFormat: state.objectFormat };
  }

  async store(state: PackState, options: AbortOptions): Promise<RepoView> {
    const folder = this.#folderOf(state.repo);
    const objectsDir = join(folder, "objects");
    const gitDir = join(folder, "bare");
    await mkdir(join(objectsDir, "pack"), { recursive: true, mode: 0o700 });
    await this.#once(gitDir, async () => {
      if (await exists(join(gitDir, "HEAD"))) return;
      await this.#build(gitDir, objectsDir, state.objectFormat, "refs/heads/main", "");
    });
    for (const pack of state.packs) await this.#bring(objectsDir, state.objectFormat, pack, options);
    return { gitDir, objectsDir, objectFormat: state.objectFormat };
  }

  async adopt(repo: string, received: ReceivedPack): Promise<void> {
    const folder = join(this.#folderOf(repo), "objects", "pack");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const base = join(folder, `pack-${received.checksum}`);
    await linkOrCopy(received.packPath, `${base}.pack`);
    await linkOrCopy(received.indexPath, `${base}.idx`);
  }

  #folderOf(repo: string): string {
    const name = createHash("sha256").update(repo).digest("hex").slice(0, 40);
    return join(this.#parts.folder, "repositories", name.slice(0, 2), name);
  }

  /** Git believes in a pack when its index is there, so the index comes last. */
  async #bring(objectsDir: string, format: ObjectFormat, pack: Pack, options: AbortOptions): Promise<void> {
    const base = join(objectsDir, "pack", `pack-${pack.checksum}`);
    if (await exists(`${base}.idx`)) return;
    await this.#once(base, async () => {
      if (await exists(`${base}.idx`)) return;
      const path = await this.#parts.localPath(pack.cid, options);
      await linkOrCopy(path, `${base}.pack`);
      const aside = await mkdtemp(join(objectsDir, "index-"));
      try {
        await this.#index(`${base}.pack`, join(aside, "pack.idx"), format, options);
        await rename(join(aside, "pack.rev"), `${base}.rev`).catch(ignoreAbsent);
        await rename(join(aside, "pack.idx"), `${base}.idx`);
      } finally {
        await rm(aside, { recursive: true, force: true });
      }
    });
  }

  async #index(pack: string, index: string, format: ObjectFormat, { signal }: AbortOptions): Promise<void> {
    const { code, stderr } = await runGit(this.#parts.home, {
      args: ["index-pack", "--rev-index", `--object-format=${format}`, "-o", index, pack],
      outputBytesMax: indexOutputBytesMax,
      signal,
    });
    if (code !== 0) {
      throw new GitdError(
        "storage-unavailable",
        `a stored pack cannot be indexed: ${stderr.trim().slice(-300)}`,
      );
    }
  }

  async #build(
    gitDir: string,
    objectsDir: string,
    format: ObjectFormat,
    head: string,
    refs: string,
  ): Promise<void> {
    const parent = join(gitDir, "..");
    await mkdir(parent, { recursive: true, mode: 0o700 });
    const aside = await mkdtemp(join(parent, "new-"));
    try {
      await mkdir(join(aside, "refs"));
      await symlink(objectsDir, join(aside, "objects"));
      await writeFile(join(aside, "config"), configOf(format));
      await writeFile(join(aside, "packed-refs"), refs);
      await writeFile(join(aside, "HEAD"), `ref: ${head}\n`);
      await rename(aside, gitDir);
    } catch (error) {
      await rm(aside, { recursive: true, force: true });
      // NOTE: another process built the same state first; one is as good as the other.
      if (await exists(join(gitDir, "HEAD"))) return;
      throw error;
    }
  }

  /** Calls with one key at the same time share one run; its failure is each caller's. */
  async #once(key: string, run: () => Promise<void>): Promise<void> {
    const running = this.#building.get(key);
    if (running !== undefined) {
      await running;
      return;
    }
    const started = run().finally(() => this.#building.delete(key));
    this.#building.set(key, started);
    await started;
  }
}

function configOf(format: ObjectFormat): string {
  const version = format === "sha256" ? 1 : 0;
  const extension = format === "sha256" ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  return `[core]\n\trepositoryFormatVersion = ${version}\n\tbare = true\n${extension}`;
}

function packedRefs(state: RepoState): string {
  const lines = ["# pack-refs with: peeled fully-peeled sorted"];
  for (const { name, oid, peeled } of state.refs()) {
    lines.push(`${oid} ${name}`);
    if (peeled !== undefined) lines.push(`^${peeled}`);
  }
  return `${lines.join("\n")}\n`;
}

async function pruneViews(folder: string, newest: bigint): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^\d+$/.test(name) || BigInt(name) >= newest) continue;
    const path = join(folder, name);
    const age =
      Date.now() -
      (await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Date.now(),
      ));
    if (age > viewGraceMs) await rm(path, { recursive: true, force: true });
  }
}

/** One copy on disk where the file system allows it. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST") return;
    if (code !== "EXDEV" && code !== "EPERM" && code !== "EMLINK") throw error;
    await copyFile(from, `${to}.new`);
    await rename(`${to}.new`, to);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return false;
    throw error;
  }
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
}
