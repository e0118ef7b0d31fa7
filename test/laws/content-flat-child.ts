import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openFlatStore } from "../../server/content/flat-store.ts";

/** Stores files until it is killed, and prints the Cid of each that is acknowledged. */
const directory = process.argv[2] ?? "";
const filesMax = 1000;
const store = await openFlatStore({ directory });
const source = join(directory, `source-${process.pid}`);
for (let count = 0; count < filesMax; count += 1) {
  await writeFile(source, randomBytes(3 * 1024 * 1024));
  const { cid } = await store.addFile(source, { signal: AbortSignal.timeout(60_000) });
  await rm(source);
  process.stdout.write(`${cid}\n`);
}
