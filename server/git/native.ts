import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import { type GitHome, GitProcess, runGit } from "./child.ts";
import type { AbortOptions, GitEngine, Quarantine, ReceiveLimits, RepoView } from "./port.ts";
import { QuarantineFolder, indexIncoming } from "./quarantine.ts";

/** Settings of every git process. Hooks, user settings and background maintenance never run. */
const settings = `
[core]
	hooksPath = /dev/null
	alternateRefsCommand = true
	useReplaceRefs = false
	fsync = none
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol]
	allow = never
[safe]
	directory = *
	bareRepository = all
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[transfer]
	advertiseObjectInfo = true
	advertiseSID = true
[pack]
	writeReverseIndex = true
`;

/** The oldest git that serves every protocol feature (gitnamespaces aside) that is advertised. */
const oldestGit = [2, 39] as const;

const checkOutputBytesMax = 16 * 1024 * 1024;

/** Opens git as found on `path`; throws `unavailable` if it is missing or older than 2.39. */
export async function openNativeGit(options: {
  readonly folder: string;
  readonly path: string;
  readonly signal: AbortSignal;
}): Promise<NativeGit> {
  const home: GitHome = {
    path: options.path || ["/usr/local/bin", "/usr/bin", "/bin"].join(delimiter),
    home: join(options.folder, "git-home"),
    config: join(options.folder, "git-config"),
  };
  await mkdir(home.home, { recursive: true, mode: 0o700 });
  await writeFile(home.config, settings, { mode: 0o600 });
  const git = new NativeGit(home, join(options.folder, "incoming"));
  const version = await git.version();
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < oldestGit[0] || (major === oldestGit[0] && minor < oldestGit[1])) {
    throw new GitdError("unavailable", `git ${version} is too old`, { fix: "install git 2.39 or newer" });
  }
  await git.sweep();
  return git;
}

/** git as child processes. */
export class NativeGit implements GitEngine {
  readonly home: GitHome;
  readonly #incoming: string;

  constructor(home: GitHome, incoming: string) {
    this.home = home;
    this.#incoming = incoming;
  }

  async version(): Promise<string> {
    try {
      const { stdout } = await runGit(this.home, {
        args: ["version"],
        outputBytesMax: 1000,
        signal: AbortSignal.timeout(10_000),
      });
      return /[0-9]+(?:\.[0-9]+)+/.exec(stdout.toString("utf8"))?.[0] ?? "0.0";
    } catch (cause) {
      throw new GitdError("unavailable", "git does not run", { fix: "install git 2.39 or newer", cause });
    }
  }

  async receivePack(
    view: RepoView,
    pack: AsyncIterable<Uint8Array>,
    limits: ReceiveLimits,
    options: AbortOptions & { readonly onProgress: (text: string) => void },
  ): Promise<Quarantine> {
    const quarantine = await QuarantineFolder.create(this.home, view, this.#incoming);
    try {
      await indexIncoming(this.home, view, quarantine, { pack, ...limits, ...options });
      return quarantine;
    } catch (error) {
      await quarantine[Symbol.asyncDispose]();
      throw error;
    }
  }

  async withoutPack(view: RepoView, options: AbortOptions): Promise<Quarantine> {
    options.signal.throwIfAborted();
    return QuarantineFolder.create(this.home, view, this.#incoming);
  }

  async *uploadPack(
    view: RepoView,
    request: AsyncIterable<Uint8Array>,
    options: AbortOptions & { readonly protocol: string },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const child = new GitProcess(this.home, {
      args: ["upload-pack", "--stateless-rpc", "--strict", view.gitDir],
      environment: {
        GIT_OBJECT_DIRECTORY: view.objectsDir,
        ...(options.protocol === "" ? {} : { GIT_PROTOCOL: options.protocol }),
      },
      input: request,
      signal: options.signal,
    });
    let bytes = 0;
    let ended = false;
    try {
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        yield chunk;
      }
      ended = true;
    } finally {
      if (!ended) await child.stop();
    }
    const { code, stderr } = await child.exit;
    options.signal.throwIfAborted();
    // NOTE: upload-pack tells its client in-band why it stops; only its silence is for us to explain.
    if (code !== 0 && bytes === 0) {
      throw new GitdError("invalid", `git refused the request: ${stderr.trim().slice(-500)}`, {
        fix: "use a current Git client",
      });
    }
  }

  /**
   * Moves packs into the bare repository `gitDir`, indexes them, and checks every object and what refs reach. Throws
   * `content-mismatch` with git's words for what does not hold.
   */
  async bareFromPacks(gitDir: string, packs: readonly string[], { signal }: AbortOptions): Promise<void> {
    for (const pack of packs) {
      const path = join(gitDir, "objects", "pack", basename(pack));
      await rename(pack, path);
      await this.#checked(["--git-dir", gitDir, "index-pack", "--rev-index", path], signal);
    }
    await this.#checked(["--git-dir", gitDir, "fsck", "--full", "--strict", "--no-dangling"], signal);
  }

  async #checked(args: readonly string[], signal: AbortSignal): Promise<void> {
    const { code, stderr } = await runGit(this.home, { args, outputBytesMax: checkOutputBytesMax, signal });
    if (code === 0) return;
    throw new GitdError(
      "content-mismatch",
      `git finds fault with the repository: ${stderr.trim().slice(-500)}`,
      {
        fix: "it was recorded that way, or a pack is missing; ask its owner",
      },
    );
  }

  /** Removes what processes that have died left in quarantine. */
  async sweep(): Promise<void> {
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#incoming)) {
      if (!isRunning(Number.parseInt(name, 10))) {
        await rm(join(this.#incoming, name), { recursive: true, force: true });
      }
    }
  }
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
