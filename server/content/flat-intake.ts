import { chmod, constants, copyFile, link, open, readdir, realpath, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { GitdError } from "../domain/errors.ts";
import type { NewFile } from "./flat-index.ts";
import { codeOf } from "./storage-failure.ts";
import { FileLayout, type Leaf, type TreeNode, leafBytes } from "./unixfs-layout.ts";

/** Why a hard link may be impossible where a copy is not: other disk, other owner, too many links, no links at all. */
const linkRefusals = new Set(["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
/** A temp file this old belongs to no running call, even if its process id is in use again. */
const tempAgeMsMax = 24 * 60 * 60 * 1000;
const digestBytes = 32;
const readOnly = 0o444;

/**
 * Gives the file at `path` a second name `temp` (or a copy), reads it once to name its blocks, and syncs it.
 * Throws `content-mismatch` when the file changes meanwhile.
 */
export async function takeIn(path: string, temp: string, signal: AbortSignal): Promise<NewFile> {
  signal.throwIfAborted();
  await linkOrCopy(path, temp);
  await using file = await open(temp, "r");
  const before = await file.stat({ bigint: true });
  if (!before.isFile()) throw new GitdError("invalid", `${path} is not a file`);
  const laidOut = await layOut(file, signal);
  const after = await file.stat({ bigint: true });
  if (after.size !== laidOut.sizeBytes || after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
    throw new GitdError("content-mismatch", "a file changed while it was being stored", {
      fix: "store it again once nothing writes to it",
    });
  }
  await file.sync();
  return laidOut;
}

/** Removes temp files of processes that no longer run. */
export async function sweepTemp(folder: string, now: () => number = Date.now): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!isRunning(Number.parseInt(name, 10)) || (await ageMs(path, now())) > tempAgeMsMax) {
      await rm(path, { force: true, recursive: true });
    }
  }
}

async function linkOrCopy(path: string, temp: string): Promise<void> {
  const real = await realpath(path);
  try {
    await link(real, temp);
    // NOTE: a link shares its bytes with the caller's name, so no one may open that for writing again.
    await chmod(temp, readOnly);
  } catch (error) {
    if (!linkRefusals.has(codeOf(error) ?? "")) throw error;
    await rm(temp, { force: true });
    await copyFile(real, temp, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(temp, readOnly);
  }
}

/** Hashes one leaf while the next is being read, so two buffers serve a file of any size. */
async function layOut(file: FileHandle, signal: AbortSignal): Promise<NewFile> {
  const leaves = new PackedLeaves();
  const nodes: TreeNode[] = [];
  const layout = new FileLayout({ leaf: (leaf) => leaves.push(leaf), node: (node) => nodes.push(node) });
  const buffers: [Buffer, Buffer] = [Buffer.allocUnsafeSlow(leafBytes), Buffer.allocUnsafeSlow(leafBytes)];
  let next = fill(file, buffers[0], 0);
  try {
    for (let at = 0; ; at += leafBytes) {
      signal.throwIfAborted();
      const bytes = await next;
      if (bytes.length === leafBytes) {
        buffers.reverse();
        next = fill(file, buffers[0], at + leafBytes);
      }
      if (bytes.length > 0) layout.add(bytes);
      if (bytes.length < leafBytes) return { ...layout.finish(), leaves, nodes };
    }
  } finally {
    await next.catch(() => undefined);
  }
}

async function fill(file: FileHandle, buffer: Buffer, start: number): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** 32 bytes a leaf, so that a file of a terabyte costs 32 MB until its rows are written. */
class PackedLeaves implements Iterable<Leaf> {
  #digests = Buffer.alloc(64 * digestBytes);
  #count = 0;
  #lastLengthBytes = 0;

  push(leaf: Leaf): void {
    const at = this.#count * digestBytes;
    if (at === this.#digests.length) {
      this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    }
    this.#digests.set(leaf.digest, at);
    this.#count += 1;
    this.#lastLengthBytes = leaf.lengthBytes;
  }

  *[Symbol.iterator](): Iterator<Leaf> {
    for (let index = 0; index < this.#count; index += 1) {
      yield {
        digest: this.#digests.subarray(index * digestBytes, (index + 1) * digestBytes),
        startBytes: index * leafBytes,
        lengthBytes: index === this.#count - 1 ? this.#lastLengthBytes : leafBytes,
      };
    }
  }
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

async function ageMs(path: string, now: number): Promise<number> {
  try {
    return now - (await stat(path)).ctimeMs;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw error;
  }
}
