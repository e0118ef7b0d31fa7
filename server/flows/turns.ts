import { GitdError } from "../domain/errors.ts";

/** A right to run, given back by disposing it. */
export type Turn = Disposable;

/**
 * Lets at most `runningMax` run at once; the rest wait first come, first served, at most `waitingMax` of them.
 * git clients do not retry on 429 by themselves, so waiting is better than refusing until the line is truly long.
 */
export class Turns {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limits: { readonly runningMax: number; readonly waitingMax: number }) {
    this.#runningMax = limits.runningMax;
    this.#waitingMax = limits.waitingMax;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves when it is the caller's turn; throws `rate-limited` when the line is full, and the signal's reason. */
  async take(signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted();
    if (this.#running >= this.#runningMax) await this.#wait(signal);
    else this.#running += 1;
    let isGivenBack = false;
    return {
      [Symbol.dispose]: () => {
        if (isGivenBack) return;
        isGivenBack = true;
        this.#pass();
      },
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#waitingMax) {
      throw new GitdError("rate-limited", `${this.#waiting.size} requests already wait for their turn`, {
        fix: "try again in a moment",
        retryAfterSeconds: 30,
      });
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(start);
        reject(signal.reason as Error);
      };
      this.#waiting.add(start);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** Hands the place to the next in line, or frees it. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

/** One {@link Turns} for each key, kept only while someone holds or awaits a turn. */
export class KeyedTurns {
  readonly #waitingMax: number;
  readonly #byKey = new Map<string, Turns>();

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  async take(key: string, signal: AbortSignal): Promise<Turn> {
    const turns = this.#byKey.get(key) ?? new Turns({ runningMax: 1, waitingMax: this.#waitingMax });
    this.#byKey.set(key, turns);
    try {
      const turn = await turns.take(signal);
      return {
        [Symbol.dispose]: () => {
          turn[Symbol.dispose]();
          this.#forget(key, turns);
        },
      };
    } catch (error) {
      this.#forget(key, turns);
      throw error;
    }
  }

  #forget(key: string, turns: Turns): void {
    if (turns.running === 0 && turns.waiting === 0 && this.#byKey.get(key) === turns) this.#byKey.delete(key);
  }
}
