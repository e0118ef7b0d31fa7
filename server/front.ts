import { composeFront } from "./compose.ts";
import { loadConfig } from "./config.ts";
import { openLog } from "./log.ts";
import { runSupervised } from "./supervise.ts";

/** One HTTP process. */
process.exitCode = await runSupervised(() => {
  const config = loadConfig();
  return composeFront(config, openLog("front", config.logLevel));
});
