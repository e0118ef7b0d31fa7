import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { GitdError } from "../domain/errors.ts";

const othersMayRead = 0o077;

/** A private key kept in a file of its own, which is made with a random one when it is missing. Only its owner may read it. */
export async function keyInFile(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const made = await createKey(path);
  if (made !== undefined) return made;
  const { mode } = await stat(path);
  if ((mode & othersMayRead) !== 0) {
    throw new GitdError("invalid", `the key file ${path} can be read by others`, {
      fix: `run: chmod 600 ${path}`,
    });
  }
  const key = (await readFile(path, "utf8")).trim();
  if (!/^0x[0-9a-f]{64}$/.test(key)) {
    throw new GitdError("invalid", `the key file ${path} does not hold a key`, {
      fix: "restore it from a backup; a new one would be another account",
    });
  }
  return key;
}

async function createKey(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      const key = `0x${randomBytes(32).toString("hex")}`;
      await file.writeFile(`${key}\n`);
      await file.sync();
      return key;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return undefined;
    throw error;
  }
}
