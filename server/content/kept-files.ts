import type { BigIntStats } from "node:fs";
import { readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Cid } from "../domain/ids.ts";
import { codeOf } from "./storage-failure.ts";

/** Local copies of files that an engine elsewhere holds; the longest unused go when room is short. */
export class KeptFiles {
  readonly #directory: string;
  readonly #bytesMax: bigint;

  constructor(directory: string, bytesMax: bigint) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  async find(cid: Cid): Promise<string | undefined> {
    const path = this.#pathOf(cid);
    try {
      const now = new Date();
      await utimes(path, now, now);
      return path;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Takes over the whole file at `temp`, on the same disk. */
  async keep(cid: Cid, temp: string): Promise<string> {
    const path = this.#pathOf(cid);
    await rename(temp, path);
    await this.#makeRoom(path);
    return path;
  }

  async forget(cid: Cid): Promise<void> {
    await rm(this.#pathOf(cid), { force: true });
  }

  async #makeRoom(newest: string): Promise<void> {
    const files: { path: string; bytes: bigint; usedNs: bigint }[] = [];
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const found = await statIfThere(path);
      if (found?.isFile() === true) files.push({ path, bytes: found.size, usedNs: found.mtimeNs });
    }
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0n);
    for (const { path, bytes } of files.sort((a, b) => (a.usedNs < b.usedNs ? -1 : 1))) {
      if (total <= this.#bytesMax) return;
      if (path === newest || !path.endsWith(".file")) continue;
      await rm(path, { force: true });
      total -= bytes;
    }
  }

  #pathOf(cid: Cid): string {
    return join(this.#directory, `${cid}.file`);
  }
}

/** Another process may remove a file while this one counts. */
async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
