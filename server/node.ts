import { composeNode } from "./compose-node.ts";
import { loadConfig } from "./config.ts";
import { openLog } from "./log.ts";
import { runSupervised } from "./supervise.ts";

/** The process that holds what is heavy: the IPFS node and the keeper. */
process.exitCode = await runSupervised(() => {
  const config = loadConfig();
  return composeNode(config, openLog("node", config.logLevel));
});
