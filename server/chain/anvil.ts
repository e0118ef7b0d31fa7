import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, rename, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GitdError } from "../domain/errors.ts";

/** The embedded chain's id: no public chain has it, so nothing signed for it is good anywhere else. */
export const embeddedChainId = 841_701n;

export interface AnvilOptions {
  /** Holds the chain's state. */
  readonly folder: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly pidFile: string;
  /** Told when the chain ended by itself and is started again. */
  readonly onRestart: (reason: string) => void;
}

const startMs = 20_000;
const stopMs = 10_000;
const restartDelayMs = 300;
const bytesPerIntervalSecond = 1024 * 1024;

/**
 * Runs the program given after it and ends it when standard input closes, which happens however the parent dies; its
 * process id goes to the file named first.
 */
const tetheredScript = `
exec 3<&0
file=$1; shift
"$@" </dev/null &
child=$!
echo $child >"$file"
(cat <&3 >/dev/null; kill -TERM $child 2>/dev/null) &
watcher=$!
wait $child
status=$?
kill $watcher 2>/dev/null
exit $status
`;

/** The embedded chain as a process: anvil without any known account, its state on disk, started again when it dies. */
export class Anvil implements AsyncDisposable {
  readonly port: number;
  readonly #options: AnvilOptions;
  #child: ChildProcess | undefined;
  #stopping = false;

  private constructor(options: AnvilOptions, port: number) {
    this.#options = options;
    this.port = port;
  }

  static async open(options: AnvilOptions): Promise<Anvil> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const anvil = new Anvil(options, options.port === 0 ? await freePort() : options.port);
    await anvil.#spawn();
    return anvil;
  }

  get rpcUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends the chain; it writes its state before it goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.stdin?.end();
    const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, "SIGKILL"), stopMs);
    await gone;
    clearTimeout(timer);
  }

  async #spawn(): Promise<void> {
    const state = join(this.#options.folder, "state.json");
    const interval = await stateIntervalSeconds(state);
    const args = [
      ...["--host", "127.0.0.1", "--port", String(this.port), "--chain-id", String(embeddedChainId)],
      ...["--accounts", "0", "--state", state, "--state-interval", String(interval), "--quiet"],
    ];
    const child = spawn(
      "sh",
      ["-c", tetheredScript, "gitd-chain", this.#options.pidFile, anvilPath(), ...args],
      {
        cwd: this.#options.folder,
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: this.#options.folder },
        detached: true,
        stdio: ["pipe", "ignore", "ignore"],
      },
    );
    this.#child = child;
    child.stdin?.on("error", () => undefined);
    child.once("exit", (code, signal) => void this.#restart(`it ended with ${code ?? signal}`));
    await this.#answering(child);
  }

  async #restart(reason: string): Promise<void> {
    if (this.#stopping) return;
    this.#options.onRestart(reason);
    await delay(restartDelayMs);
    if (this.#stopping) return;
    try {
      await this.#spawn();
    } catch (error) {
      this.#options.onRestart(error instanceof Error ? error.message : String(error));
    }
  }

  async #answering(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + startMs;
    while (Date.now() < deadline && child.exitCode === null) {
      if (await answers(this.rpcUrl)) return;
      await delay(50);
    }
    throw new GitdError("chain-unavailable", "the embedded chain does not start", {
      fix: `look at ${this.#options.folder}; without its files the chain is made anew from the ledger`,
    });
  }
}

/** Whether a JSON-RPC endpoint answers at all. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}',
      signal: AbortSignal.timeout(1000),
    });
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** Anvil writes its whole state each time, so the larger it is, the rarer. A file cut short by a crash is put aside. */
async function stateIntervalSeconds(path: string): Promise<number> {
  try {
    const { size } = await stat(path);
    JSON.parse(await readFile(path, "utf8"));
    return Math.max(1, Math.ceil(size / bytesPerIntervalSecond));
  } catch (error) {
    if (error instanceof SyntaxError) await rename(path, `${path}.broken`);
    else if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    return 1;
  }
}

/** The program inside the platform's own package: its npm wrapper would be one more process. */
function anvilPath(): string {
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as "x64" | "arm64"];
  const name = `@foundry-rs/anvil-${process.platform}-${architecture}`;
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve(`${name}/package.json`)), "bin", "anvil");
  } catch (cause) {
    throw new GitdError("unavailable", `the embedded chain's program is not installed (${name})`, {
      fix: "run npm ci, or name another chain with GITD_CHAIN_RPC",
      cause,
    });
  }
}

function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once("error", reject);
    probe.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
