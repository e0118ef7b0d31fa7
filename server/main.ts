import { createServer } from "node:net";
import { join } from "node:path";
import { type Config, childEnvironment, loadConfig } from "./config.ts";
import { openChainProcess } from "./compose-chain.ts";
import { migrateLedger } from "./compose.ts";
import { holdDataFolder } from "./data-folder.ts";
import { GitdError, explain, isGitdError } from "./domain/errors.ts";
import { openLog } from "./log.ts";
import { type ProcessPlan, Supervised } from "./supervise.ts";

const nodeStartMs = 60_000;
const frontStartMs = 20_000;
const extraStopMs = 5_000;

/** `npm start`: the embedded chain, the node process and the fronts as one program that one Ctrl-C ends. */
async function main(): Promise<void> {
  const config = loadConfig();
  const log = openLog("main", config.logLevel);
  const stopped = untilInterrupted();
  await using resources = new AsyncDisposableStack();
  resources.use(await holdDataFolder(config.data));
  const port = await freePort(config);
  await migrateLedger(config);
  const chain = resources.use(await openChainProcess(config, log));
  const environment = childEnvironment({ GITD_PORT: String(port), ...chain.environment });
  const plans = processPlans(config, environment);
  for (const plan of plans) {
    const child = await Supervised.start(plan, log);
    resources.defer(() => child.stop());
  }
  greet(config, port);
  await stopped;
}

function processPlans(config: Config, environment: Record<string, string>): ProcessPlan[] {
  const moduleAt = (name: string): string => new URL(name, import.meta.url).pathname;
  const plan = (name: string, module: string, startMs: number): ProcessPlan => ({
    name,
    module: moduleAt(module),
    environment,
    pidFile: join(config.data.run, `${name}.pid`),
    startMs,
    stopMs: config.drainMs + extraStopMs,
  });
  const fronts = Array.from({ length: config.fronts }, (_, at) =>
    plan(`front-${at + 1}`, "front.ts", frontStartMs),
  );
  return [plan("node", "node.ts", nodeStartMs), ...fronts];
}

/** Resolves at the first Ctrl-C or SIGTERM; a second one ends the program at once. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (): void => {
      if (asked) process.exit(130);
      asked = true;
      process.stderr.write(
        "stopping: running requests are being finished (press Ctrl-C again to drop them)\n",
      );
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}

/**
 * The port that the fronts will share. Bound once without sharing, so that a port that is taken is an error here
 * rather than a second program silently getting half of the requests.
 */
async function freePort(config: Config): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once("error", (cause) => {
      reject(
        new GitdError("unavailable", `cannot listen on ${config.host}:${config.port}: ${cause.message}`, {
          fix: "stop what uses the port, or choose another with GITD_PORT",
          cause,
        }),
      );
    });
    probe.listen({ host: config.host, port: config.port }, () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : config.port;
      probe.close(() => resolve(port));
    });
  });
}

function greet(config: Config, port: number): void {
  const url = `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
  process.stdout.write(`gitd ready at ${url}

Type next, in another terminal and any Git repository:
  npx --prefix ${process.cwd()} gitd wallet new       make a wallet
  npx --prefix ${process.cwd()} gitd faucet           get test CODEX (embedded chain)
  npx --prefix ${process.cwd()} gitd login            let git sign in to ${url} by itself
  git push ${url}/<your address>/<name>.git HEAD
Stop with Ctrl-C. Everything is kept in ${config.data.root}.
`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    `gitd: ${isGitdError(error) ? explain(error) : String(error instanceof Error ? error.stack : error)}\n`,
  );
  process.exitCode = 1;
}
