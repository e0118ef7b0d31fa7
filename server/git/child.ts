import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Where git finds its own settings: nothing of the machine's or the user's is read. */
export interface GitHome {
  readonly path: string;
  /** An empty folder. */
  readonly home: string;
  /** The one file of settings. */
  readonly config: string;
}

export interface GitCall {
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: AsyncIterable<Uint8Array> | Uint8Array | string;
  readonly signal: AbortSignal;
  /** Told what git writes on stderr, as it comes. */
  readonly onStderr?: (text: string) => void;
}

export interface GitExit {
  readonly code: number | null;
  /** The end of what git wrote on stderr. */
  readonly stderr: string;
}

const stderrBytesMax = 64 * 1024;
/** After being asked to end, a process group has this long before it is killed. */
const killAfterMs = 500;

type GitChild = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * One git process with an environment of its own (nothing is inherited) in a process group of its own, which ends with
 * the signal: asked at first, killed after half a second.
 */
export class GitProcess {
  readonly stdout: Readable;
  readonly exit: Promise<GitExit>;
  readonly #child: GitChild;
  #input: Promise<unknown>;

  constructor(home: GitHome, call: GitCall) {
    call.signal.throwIfAborted();
    const child = spawn("git", [...call.args], {
      env: { ...baseEnvironment(home), ...call.environment },
      cwd: home.home,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.stdout = child.stdout;
    const onAbort = (): void => void this.#end();
    call.signal.addEventListener("abort", onAbort, { once: true });
    this.exit = this.#watch(call).finally(() => call.signal.removeEventListener("abort", onAbort));
    // NOTE: whoever reads stdout may leave before it looks at the exit; the failure is then nobody's news.
    this.exit.catch(() => undefined);
    this.#input = this.#feed(call);
    this.#input.catch(() => undefined);
  }

  /** Ends the process group and waits until it is gone. */
  async stop(): Promise<void> {
    await this.#end();
    await this.exit.catch(() => undefined);
  }

  #watch(call: GitCall): Promise<GitExit> {
    let stderr = "";
    this.#child.stderr.setEncoding("utf8");
    this.#child.stderr.on("data", (text: string) => {
      stderr = (stderr + text).slice(-stderrBytesMax);
      call.onStderr?.(text);
    });
    return new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code) => resolve({ code, stderr }));
    });
  }

  /** A process that ends without reading all of its input is judged by its exit code, not by the broken pipe. */
  async #feed(call: GitCall): Promise<void> {
    const { stdin } = this.#child;
    if (call.input === undefined || typeof call.input === "string" || call.input instanceof Uint8Array) {
      stdin.on("error", () => undefined);
      stdin.end(call.input);
      return;
    }
    await pipeline(call.input, stdin).catch((error: unknown) => {
      if (isBrokenPipe(error)) return;
      void this.#end();
      throw error;
    });
  }

  /** Rejects if the input itself failed, for instance as its sender left. */
  async inputDone(): Promise<void> {
    await this.#input;
  }

  async #end(): Promise<void> {
    if (!this.#signalGroup("SIGTERM")) return;
    await Promise.race([this.exit.catch(() => undefined), delay(killAfterMs, undefined, { ref: false })]);
    this.#signalGroup("SIGKILL");
  }

  #signalGroup(signal: NodeJS.Signals): boolean {
    const { pid } = this.#child;
    if (pid === undefined) return false;
    try {
      return process.kill(-pid, signal);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
      throw error;
    }
  }
}

/** Runs git to its end and gives its whole output, at most `outputBytesMax` of it. */
export async function runGit(
  home: GitHome,
  call: GitCall & { readonly outputBytesMax: number },
): Promise<GitExit & { readonly stdout: Buffer }> {
  const child = new GitProcess(home, call);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > call.outputBytesMax) {
      await child.stop();
      throw new RangeError(`git ${call.args[0]} wrote more than ${call.outputBytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  const exit = await child.exit;
  call.signal.throwIfAborted();
  return { ...exit, stdout: Buffer.concat(chunks) };
}

function baseEnvironment(home: GitHome): Record<string, string> {
  return {
    PATH: home.path,
    HOME: home.home,
    LANG: "C",
    TZ: "UTC",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: home.config,
    GIT_TERMINAL_PROMPT: "0",
  };
}

function isBrokenPipe(error: unknown): boolean {
  const codes = ["EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "ERR_STREAM_DESTROYED"];
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
