import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import type { IntroducedCommit } from "../domain/contribution.ts";
import { type Oid, parseOid } from "../domain/ids.ts";
import { type GitExit, type GitHome, GitProcess, runGit } from "./child.ts";
import type { AbortOptions, Quarantine, ReceivedPack, RepoView } from "./port.ts";

const shortOutputBytesMax = 64 * 1024 * 1024;
const packHeaderBytes = 12;

/** Objects of one unfinished Push, in a folder that only its own git processes look into. */
export class QuarantineFolder implements Quarantine {
  readonly #home: GitHome;
  readonly #view: RepoView;
  readonly #folder: string;
  readonly #disposed = new AbortController();
  #pack: ReceivedPack | undefined;

  private constructor(home: GitHome, view: RepoView, folder: string) {
    this.#home = home;
    this.#view = view;
    this.#folder = folder;
  }

  /** `parent` holds the quarantines of every process; their names start with the id of the process that made them. */
  static async create(home: GitHome, view: RepoView, parent: string): Promise<QuarantineFolder> {
    const folder = join(parent, `${process.pid}-${randomUUID()}`);
    await mkdir(join(folder, "objects", "pack"), { recursive: true, mode: 0o700 });
    return new QuarantineFolder(home, view, folder);
  }

  get pack(): ReceivedPack | undefined {
    return this.#pack;
  }

  get environment(): Record<string, string> {
    return {
      GIT_OBJECT_DIRECTORY: join(this.#folder, "objects"),
      GIT_ALTERNATE_OBJECT_DIRECTORIES: this.#view.objectsDir,
    };
  }

  /** Takes note of the pack that index-pack left here; one without objects is as none. */
  async notePack(): Promise<void> {
    const folder = join(this.#folder, "objects", "pack");
    const name = (await readdir(folder)).find((file) => file.endsWith(".pack"));
    if (name === undefined) throw new GitdError("internal", "index-pack left no pack");
    const packPath = join(folder, name);
    const objects = await objectsIn(packPath);
    if (objects === 0) return;
    this.#pack = {
      checksum: name.slice("pack-".length, -".pack".length),
      packPath,
      indexPath: join(folder, `${name.slice(0, -".pack".length)}.idx`),
      sizeBytes: BigInt((await stat(packPath)).size),
      objects,
    };
  }

  async checkConnected(tips: readonly Oid[], known: readonly Oid[], options: AbortOptions): Promise<void> {
    const input = revisions(tips, known);
    const { code, stderr } = await this.#git(["rev-list", "--objects", "--quiet", "--stdin"], input, options);
    if (code === 0) return;
    const missing = /[0-9a-f]{40,64}/.exec(stderr)?.[0];
    throw new GitdError(
      "push-refused",
      `missing necessary objects${missing === undefined ? "" : ` (${missing})`}`,
      {
        fix: "fetch first, and push again from a complete repository",
      },
    );
  }

  async introduced(
    tips: readonly Oid[],
    known: readonly Oid[],
    options: AbortOptions,
  ): Promise<IntroducedCommit[]> {
    if (this.#pack === undefined || tips.length === 0) return [];
    const args = ["rev-list", "--stdin", "--no-commit-header", "--format=%H%x00%P%x00%an%x00%ae"];
    const { code, stdout, stderr } = await this.#git(args, revisions(tips, known), options);
    if (code !== 0) throw failure("list the new commits", stderr);
    const commits = stdout
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map(commitOf);
    const before = await this.#presentBefore(
      commits.map((commit) => commit.oid),
      options,
    );
    return commits.filter((commit) => !before.has(commit.oid));
  }

  async peel(oids: readonly Oid[], options: AbortOptions): Promise<Map<Oid, Oid | undefined>> {
    const input = oids.map((oid) => `${oid}\n${oid}^{}\n`).join("");
    const { code, stdout, stderr } = await this.#git(["cat-file", "--batch-check"], input, options);
    if (code !== 0) throw failure("look up the new objects", stderr);
    const lines = stdout.toString("latin1").split("\n");
    return new Map(
      oids.map((oid, at) => {
        const isTag = lines[2 * at]?.split(" ")[1] === "tag";
        const target = lines[2 * at + 1]?.split(" ")[0];
        return [oid, isTag && target !== undefined ? parseOid(target) : undefined];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Which of the objects the repository had before this Push. */
  async #presentBefore(oids: readonly Oid[], { signal }: AbortOptions): Promise<Set<Oid>> {
    const { code, stdout, stderr } = await runGit(this.#home, {
      args: ["--git-dir", this.#view.gitDir, "cat-file", "--batch-check=%(objectname)"],
      environment: { GIT_OBJECT_DIRECTORY: this.#view.objectsDir },
      input: oids.map((oid) => `${oid}\n`).join(""),
      outputBytesMax: shortOutputBytesMax,
      signal,
    });
    if (code !== 0) throw failure("look up earlier commits", stderr);
    const present = stdout
      .toString("latin1")
      .split("\n")
      .filter((line) => !line.includes(" ") && line !== "");
    return new Set(present.map(parseOid));
  }

  #git(
    args: readonly string[],
    input: string,
    { signal }: AbortOptions,
  ): Promise<GitExit & { stdout: Buffer }> {
    return runGit(this.#home, {
      args: ["--git-dir", this.#view.gitDir, ...args],
      environment: this.environment,
      input,
      outputBytesMax: shortOutputBytesMax,
      signal: AbortSignal.any([signal, this.#disposed.signal]),
    });
  }
}

/** Streams a pack through `git index-pack` into the quarantine. Throws what is wrong with it in git's own words. */
export async function indexIncoming(
  home: GitHome,
  view: RepoView,
  quarantine: QuarantineFolder,
  incoming: {
    readonly pack: AsyncIterable<Uint8Array>;
    readonly packBytesMax: bigint;
    readonly onProgress: (text: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { pack, packBytesMax, onProgress, signal } = incoming;
  const child = new GitProcess(home, {
    args: [
      "--git-dir",
      view.gitDir,
      "index-pack",
      "--stdin",
      "--fix-thin",
      "--strict",
      "--show-resolving-progress",
      `--max-input-size=${packBytesMax}`,
    ],
    environment: quarantine.environment,
    input: pack,
    signal,
    onStderr: (text) => {
      if (/^(?:\r|remote: )?Resolving deltas/.test(text)) onProgress(text);
    },
  });
  child.stdout.resume();
  const { code, stderr } = await child.exit;
  signal.throwIfAborted();
  if (code === 0) {
    await child.inputDone();
    await quarantine.notePack();
    return;
  }
  throw refusedPack(stderr, packBytesMax);
}

function refusedPack(stderr: string, packBytesMax: bigint): GitdError {
  const lines = stderr.split(/[\r\n]+/).filter((line) => /^(?:fatal|error): /.test(line));
  const reason =
    lines
      .map((line) => line.replace(/^(?:fatal|error): /, ""))
      .slice(-3)
      .join("; ") || "it is damaged";
  if (/No space left on device/.test(stderr)) {
    return new GitdError("storage-full", "the server has no room for the pack", {
      fix: "tell its operator; nothing was kept",
    });
  }
  if (/exceeds maximum allowed size/.test(stderr)) {
    return new GitdError(
      "too-large",
      `the pack is larger than the ${packBytesMax} bytes that a push may bring`,
      {
        fix: "push the history in several steps",
      },
    );
  }
  return new GitdError("push-refused", `the pack was refused: ${reason}`, {
    fix: "check your repository with: git fsck --full --strict",
  });
}

async function objectsIn(packPath: string): Promise<number> {
  const file = await open(packPath);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(packHeaderBytes), 0, packHeaderBytes, 0);
    if (bytesRead < packHeaderBytes)
      throw new GitdError("internal", "index-pack left a pack without a header");
    return buffer.readUInt32BE(8);
  } finally {
    await file.close();
  }
}

/** Before 2.42, git takes no `--not` from its input. */
function revisions(tips: readonly Oid[], known: readonly Oid[]): string {
  return [...tips, ...known.map((oid) => `^${oid}`)].map((line) => `${line}\n`).join("");
}

function commitOf(line: string): IntroducedCommit & { readonly oid: Oid } {
  const [oid = "", parents = "", name = "", email = ""] = line.split("\0");
  return { oid: parseOid(oid), name, email, isMerge: parents.includes(" ") };
}

function failure(what: string, stderr: string): GitdError {
  return new GitdError("internal", `git could not ${what}: ${stderr.trim().slice(-500)}`);
}
