import { type ChildProcess, fork } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { GitdError, explain, isGitdError } from "./domain/errors.ts";
import type { Logger } from "./log.ts";

/** What a supervised process tells its supervisor: once, when it serves. */
interface ReadyMessage {
  readonly kind: "ready";
}

export interface ProcessPlan {
  readonly name: string;
  /** The module that the process runs. */
  readonly module: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Holds the process' id while it runs. */
  readonly pidFile: string;
  /** How long it may take until it is ready. */
  readonly startMs: number;
  /** How long it may take to stop before it is killed. */
  readonly stopMs: number;
}

const restartDelayMinMs = 200;
const restartDelayMaxMs = 10_000;
/** A process that lived this long starts over with the shortest delay. */
const settledAfterMs = 30_000;

/**
 * One child process that is started again whenever it ends, until {@link stop}. The child ends by itself when this
 * process dies, since its IPC channel then closes.
 */
export class Supervised {
  readonly #plan: ProcessPlan;
  readonly #log: Logger;
  #child: ChildProcess | undefined;
  #stopping = false;
  #restartDelayMs = restartDelayMinMs;

  private constructor(plan: ProcessPlan, log: Logger) {
    this.#plan = plan;
    this.#log = log;
  }

  /** Starts the process and waits until it is ready; throws `unavailable` if it ends or takes too long. */
  static async start(plan: ProcessPlan, log: Logger): Promise<Supervised> {
    const supervised = new Supervised(plan, log);
    await supervised.#spawn();
    return supervised;
  }

  /** Asks the process to finish what it does, kills it after the plan's `stopMs`, and resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#plan.stopMs);
    await gone;
    clearTimeout(timer);
    rmSync(this.#plan.pidFile, { force: true });
  }

  async #spawn(): Promise<void> {
    const startedAt = performance.now();
    const child = fork(this.#plan.module, [], {
      env: this.#plan.environment,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    writeFileSync(this.#plan.pidFile, `${child.pid}\n`, { mode: 0o600 });
    child.once("exit", (code, signal) => void this.#restart(code ?? signal, performance.now() - startedAt));
    await this.#ready(child);
  }

  #ready(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        reject(
          new GitdError("unavailable", `the ${this.#plan.name} process ${why}`, {
            fix: "its own message stands above; GITD_LOG_LEVEL=debug shows more",
          }),
        );
      };
      const timer = setTimeout(
        () => fail(`was not ready within ${this.#plan.startMs} ms`),
        this.#plan.startMs,
      );
      child.once("message", () => {
        clearTimeout(timer);
        resolve();
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal} before it was ready`);
      });
    });
  }

  async #restart(reason: number | string | null, livedMs: number): Promise<void> {
    if (this.#stopping) return;
    this.#restartDelayMs =
      livedMs > settledAfterMs ? restartDelayMinMs : Math.min(this.#restartDelayMs * 2, restartDelayMaxMs);
    this.#log.error(
      { process: this.#plan.name, reason, restartInMs: this.#restartDelayMs },
      "process ended; starting it again",
    );
    await delay(this.#restartDelayMs);
    if (this.#stopping) return;
    try {
      await this.#spawn();
    } catch (error) {
      // NOTE: the failed child's own exit brings the next attempt; this one is only told.
      this.#log.error({ process: this.#plan.name, error }, "process did not come back");
    }
  }
}

/**
 * The life of a supervised process: opens what it serves, tells the supervisor, and closes it when it should stop: asked
 * to by SIGTERM, or left alone by a supervisor that died. Ctrl-C reaches the whole group and is the supervisor's to handle.
 * Resolves to the exit code.
 */
export async function runSupervised(open: () => Promise<AsyncDisposable>): Promise<number> {
  process.on("SIGINT", () => undefined);
  const stopped = new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("disconnect", () => resolve());
  });
  try {
    await using _open = await open();
    const message: ReadyMessage = { kind: "ready" };
    process.send?.(message);
    await stopped;
    return 0;
  } catch (error) {
    const text = isGitdError(error) ? explain(error) : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`gitd: ${text}\n`);
    return 1;
  } finally {
    if (process.connected) process.disconnect();
  }
}
