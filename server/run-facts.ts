import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Address, parseAddress } from "./domain/ids.ts";

const address = z.string().transform((text): Address => parseAddress(text));
const factsSchema = z.object({
  chainId: z.string().regex(/^\d+$/),
  registry: address,
  accessBond: address,
  codex: address,
  /** Where wallets reach the embedded chain; null for a chain that has its own public endpoints. */
  rpcUrl: z.string().nullable(),
  faucet: z.boolean(),
  /** libp2p addresses of the IPFS node. */
  ipfs: z.array(z.string()),
});

/** What the node process found out when it started, and the fronts need to know. */
export type RunFacts = z.infer<typeof factsSchema>;

/** The node process writes them before it is ready, so that fronts always find them. */
export async function writeRunFacts(folder: string, facts: RunFacts): Promise<void> {
  const path = join(folder, "facts.json");
  await writeFile(`${path}.new`, JSON.stringify(facts), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function readRunFacts(folder: string): Promise<RunFacts> {
  return factsSchema.parse(JSON.parse(await readFile(join(folder, "facts.json"), "utf8")));
}
