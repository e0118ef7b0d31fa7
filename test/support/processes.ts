import { type ChildProcess, spawn } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** The program and all that it started are killed after this long. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What stdout held, byte for byte. */
  readonly bytes: Buffer;
}

const runTimeoutMs = 60_000;
const outputBytesMax = 256 * 1024 * 1024;

/** Runs a program to its end, in a process group of its own so that a timeout leaves nothing behind. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...(options.env ?? inheritedEnvironment()) },
    stdio: "pipe",
    detached: true,
  });
  const timeoutMs = options.timeoutMs ?? runTimeoutMs;
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, timeoutMs);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let size = 0;
  const collect = (into: Buffer[]) => (chunk: Buffer) => {
    size += chunk.length;
    if (size > outputBytesMax) killGroup(child.pid);
    else into.push(chunk);
  };
  child.stdout.on("data", collect(out));
  child.stderr.on("data", collect(err));
  // NOTE: a program may end without reading all of its input; its exit code tells, not the broken pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input);
  try {
    const [code, signal] = await closed(child);
    const bytes = Buffer.concat(out);
    const stderr = Buffer.concat(err).toString();
    const shown = `${command} ${args.join(" ")}`;
    if (timedOut) throw new Error(`killed after ${timeoutMs} ms: ${shown}\n${stderr}`);
    if (size > outputBytesMax) throw new Error(`printed over ${outputBytesMax} bytes: ${shown}`);
    return { code, signal, stdout: bytes.toString(), stderr, bytes };
  } finally {
    clearTimeout(timer);
  }
}

function closed(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve([code, signal]));
  });
}

export function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Kills a group that {@link run} or {@link startProgram} made; a group that is gone already is fine. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals = "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!isNoSuchProcess(error)) throw error;
  }
}

/** Whether a process exists; one that ended but was not yet waited for by its parent does not count. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await processList()).some((entry) => entry.pid === pid && entry.state !== "Z");
}

export interface ListedProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly state: string;
  readonly command: string;
}

/** Every process below `pid`, at any depth, that has not ended. */
export async function descendantsOf(pid: number): Promise<ListedProcess[]> {
  const all = await processList();
  const found: ListedProcess[] = [];
  const parents = [pid];
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    for (const entry of all) {
      if (entry.parent !== parent || entry.state === "Z") continue;
      found.push(entry);
      parents.push(entry.pid);
    }
  }
  return found;
}

/** The processes that git commands run as, below `pid`. */
export async function gitProcessesBelow(pid: number): Promise<ListedProcess[]> {
  return (await descendantsOf(pid)).filter((entry) => /(^|\/)git(-[a-z-]+)?( |$)/.test(entry.command));
}

/** Every process of this machine that has not ended: from /proc where it exists, otherwise from ps. */
export async function processList(): Promise<ListedProcess[]> {
  if (process.platform !== "linux") return listFromPs();
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(pids.map((pid) => readProcess(Number(pid))));
  return entries.filter((entry) => entry !== undefined);
}

async function readProcess(pid: number): Promise<ListedProcess | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const argv = await readFile(`/proc/${pid}/cmdline`, "utf8");
    const [state = "", parent = "0", group = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = argv.replaceAll("\0", " ").trim();
    return { pid, parent: Number(parent), group: Number(group), state, command };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

async function listFromPs(): Promise<ListedProcess[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid=,pgid=,stat=,args="]);
  return stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [pid, parent, group, state = "", ...command] = line.trim().split(/\s+/);
      return {
        pid: Number(pid),
        parent: Number(parent),
        group: Number(group),
        state: state.slice(0, 1),
        command: command.join(" "),
      };
    });
}

/** Asks again and again until the condition gives a value other than false or undefined; throws after the bound. */
export async function until<T extends object | number | string | true>(
  what: string,
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  timeoutMs = 10_000,
  everyMs = 25,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await delay(everyMs);
  }
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs as this user and group, which only root may ask for. */
  readonly as?: { readonly uid: number; readonly gid: number };
}

/** A program that runs until it is stopped; its output is kept. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  #output = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    const collect = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-1_000_000);
    };
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    child.on("error", (error) => collect(Buffer.from(`${error.message}\n`)));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`the program did not start: ${this.#output}`);
    return this.#child.pid;
  }

  get output(): string {
    return this.#output;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  async line(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    return until(
      `a line like ${pattern} in:\n${this.#output}`,
      () => {
        const match = pattern.exec(this.#output);
        if (match !== null) return match;
        if (this.ended)
          throw new Error(`ended with ${this.#child.exitCode} before ${pattern}:\n${this.#output}`);
        return undefined;
      },
      timeoutMs,
    );
  }

  /** Signals the whole group, as Ctrl-C in a terminal does, and waits for the program to end. */
  async stop(signal: NodeJS.Signals = "SIGINT", timeoutMs = 30_000): Promise<number | null> {
    killGroup(this.pid, signal);
    try {
      await until(`the program to end after ${signal}:\n${this.#output}`, () => this.ended, timeoutMs);
    } finally {
      if (!this.ended) killGroup(this.pid);
    }
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) killGroup(this.pid);
    await until("the program to end", () => this.ended);
  }
}

export function startProgram(command: string, args: readonly string[], options: ProgramOptions): Program {
  return new Program(
    spawn(command, args, {
      cwd: options.cwd,
      env: { ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...options.as,
    }),
  );
}

function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
}
