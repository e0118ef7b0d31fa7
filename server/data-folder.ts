import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DataFolders } from "./config.ts";
import { GitdError } from "./domain/errors.ts";

const attemptsMax = 3;

/**
 * Makes the data folder (only its owner may enter) and holds it for this process. Throws `unavailable` when another
 * running program holds it; a holder that died is taken over from.
 */
export async function holdDataFolder(data: DataFolders): Promise<AsyncDisposable> {
  for (const folder of [data.root, data.keys, data.run]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  const path = join(data.run, "main.pid");
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    if (await writeOnce(path)) return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    const holder = Number.parseInt(await readFile(path, "utf8"), 10);
    if (isRunning(holder)) {
      throw new GitdError("unavailable", `${data.root} is in use by the gitd with process id ${holder}`, {
        fix: "stop that one, or choose another folder with GITD_DATA",
      });
    }
    await rm(path, { force: true });
  }
  throw new GitdError("unavailable", `${data.root} could not be held: others keep taking it`, {
    fix: "start one gitd for each folder",
  });
}

async function writeOnce(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}\n`, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
