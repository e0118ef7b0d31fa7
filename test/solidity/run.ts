import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/**
 * The fuzz and invariant tests of the contracts, by forge with the compiler beside this file.
 *
 *   node test/solidity/run.ts                       as `npm test` runs them
 *   node test/solidity/run.ts --deep                20 times as many cases (minutes), for a change to the contracts
 *   node test/solidity/run.ts --runs 500 --seed 7   as many invariant runs and fuzz cases as said, reproducible
 *   node test/solidity/run.ts -- --match-contract Weight -vvv
 *
 * What follows `--` is handed to forge. The exit code is forge's; 124 when it took over 10 minutes.
 */
const timeoutMs = 10 * 60_000;
const killAfterMs = 5_000;
const invariantRuns = 64;
const fuzzRuns = 256;
const deepFactor = 20;

const { values, positionals } = parseArgs({
  options: {
    deep: { type: "boolean", default: false },
    runs: { type: "string" },
    seed: { type: "string" },
  },
  allowPositionals: true,
});
const factor = values.deep ? deepFactor : 1;
const runs = values.runs ?? String(invariantRuns * factor);
if (!/^[1-9][0-9]{0,5}$/.test(runs)) {
  process.stderr.write(`--runs takes a number from 1 to 999999, not '${runs}'\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await forge(
    ["test", "--color", "never", ...(values.seed === undefined ? [] : ["--fuzz-seed", values.seed])],
    positionals,
  );
}

async function forge(args: readonly string[], more: readonly string[]): Promise<number> {
  const child = spawn(forgePath(), [...args, ...more], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      FOUNDRY_INVARIANT_RUNS: runs,
      FOUNDRY_FUZZ_RUNS: values.runs ?? String(fuzzRuns * factor),
    },
  });
  const stop = (): void => void child.kill("SIGTERM");
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), killAfterMs).unref();
  }, timeoutMs);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exit) => resolve(exit ?? 1));
    });
    if (late) process.stderr.write(`forge took over ${timeoutMs / 60_000} minutes and was stopped\n`);
    return late ? 124 : code;
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

/** The program itself, as npm installed it for this machine: a launcher in between could outlive a signal. */
function forgePath(): string {
  const machine = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const require = createRequire(createRequire(import.meta.url).resolve("@foundry-rs/forge/package.json"));
  return join(dirname(require.resolve(`@foundry-rs/forge-${machine}/package.json`)), "bin", "forge");
}
