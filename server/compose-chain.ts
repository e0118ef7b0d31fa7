import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Anvil } from "./chain/anvil.ts";
import type { Config } from "./config.ts";
import type { Logger } from "./log.ts";

/** The embedded chain as a process of its own; nothing for a chain that is reached by its URL. */
export async function openChainProcess(
  config: Config,
  log: Logger,
): Promise<AsyncDisposable & { readonly environment: Readonly<Record<string, string>> }> {
  if (config.chain.kind === "external") {
    return { environment: {}, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const anvil = await Anvil.open({
    folder: config.data.chain,
    port: config.chain.port,
    pidFile: join(config.data.run, "chain.pid"),
    onRestart: (reason) => log.error({ reason }, "the embedded chain ended; starting it again"),
  });
  return {
    environment: { GITD_CHAIN_PORT: String(anvil.port) },
    [Symbol.asyncDispose]: async () => {
      await anvil[Symbol.asyncDispose]();
      await rm(join(config.data.run, "chain.pid"), { force: true });
    },
  };
}
