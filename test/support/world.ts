import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const readyLine = /^gitd ready at (http:\/\/\S+)$/m;
const startMs = 90_000;
const stopMs = 30_000;

export interface WorldOptions {
  /** Variables on top of the defaults of a test: free port, one front, a folder of its own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Keeps data of an earlier world. */
  readonly dataDir?: string;
}

export interface WorldPids {
  readonly main: number;
  readonly node: number;
  readonly fronts: readonly number[];
  readonly chain: number | undefined;
}

/** A whole server as a user starts it: `server/main.ts` with all its processes, on loopback. */
export class World implements AsyncDisposable {
  readonly dataDir: string;
  url = "";
  readonly #environment: Readonly<Record<string, string>>;
  #main: ChildProcess | undefined;
  #output = "";

  constructor(dataDir: string, environment: Readonly<Record<string, string>>) {
    this.dataDir = dataDir;
    this.#environment = environment;
  }

  /** Everything that the server printed. */
  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, ["server/main.ts"], {
      cwd: checkout,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: this.dataDir,
        GITD_PORT: "0",
        GITD_FRONTS: "1",
        GITD_BATCH_WINDOW_MS: "100",
        GITD_POLL_MS: "50",
        GITD_DATA: this.dataDir,
        ...this.#environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#main = child;
    const collect = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-1_000_000);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const before = this.#output.length;
    await this.#until(
      () => readyLine.test(this.#output.slice(before)) || child.exitCode !== null,
      startMs,
      "the server to be ready",
    );
    const url = readyLine.exec(this.#output.slice(before))?.[1];
    if (url === undefined) throw new Error(`the server ended before it was ready:\n${this.#output}`);
    this.url = url;
  }

  async pids(): Promise<WorldPids> {
    const run = join(this.dataDir, "run");
    const byName = new Map<string, number>();
    for (const file of (await readdir(run)).sort()) {
      if (file.endsWith(".pid"))
        byName.set(file.slice(0, -4), Number(await readFile(join(run, file), "utf8")));
    }
    const fronts = [...byName].filter(([name]) => name.startsWith("front-")).map(([, pid]) => pid);
    return { main: this.#main?.pid ?? 0, node: byName.get("node") ?? 0, fronts, chain: byName.get("chain") };
  }

  /** Stops as Ctrl-C does and returns the exit code; kills after a bound. */
  async halt(signal: "SIGINT" | "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const child = this.#main;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const gone = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await gone;
    clearTimeout(timer);
    return child.exitCode;
  }

  /** Halts, then starts again on the same data, at a new port. */
  async restart(): Promise<void> {
    await this.halt();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.halt();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!condition()) {
      if (Date.now() > deadline) {
        this.#main?.kill("SIGKILL");
        throw new Error(`waited ${withinMs} ms for ${what}:\n${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "gitd-world-")));
  const world = new World(dataDir, options.environment ?? {});
  await world.start();
  return world;
}
