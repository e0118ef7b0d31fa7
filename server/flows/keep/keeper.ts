import { setTimeout as delay } from "node:timers/promises";
import type { AccessLedger, Ledger } from "../../ledger/port.ts";
import { type IndexChainParts, indexChain } from "./index-chain.ts";
import { type RecordPushesParts, recordPushes } from "./record-pushes.ts";

export type KeeperParts = RecordPushesParts &
  IndexChainParts & {
    readonly ledger: Pick<AccessLedger, "expireHolds"> & Pick<Ledger, "lead">;
    readonly batchWindowMs: number;
    readonly pollMs: number;
    readonly nowSeconds: () => bigint;
  };

/** How the keeper is, for readiness and metrics. */
export interface KeeperHealth {
  readonly leads: boolean;
  readonly block: bigint;
  readonly queueDepth: number;
  /** Why the last round failed; undefined when it did not. */
  readonly failure: string | undefined;
}

const backOffMaxMs = 30_000;
const expiryMs = 60_000;

/** Everything that goes on without a request: the outbox, the indexer, and Holds that nobody ended. One leader at a time. */
export class Keeper {
  readonly #parts: KeeperParts;
  #health: KeeperHealth = { leads: false, block: -1n, queueDepth: 0, failure: undefined };

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  get health(): KeeperHealth {
    return this.#health;
  }

  /** Runs until the signal; a lost leadership is sought again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await using lock = await this.#parts.ledger.lead("keeper", { signal });
        this.#health = { ...this.#health, leads: true };
        const led = AbortSignal.any([signal, lock.lost]);
        await Promise.all([this.#indexLoop(led), this.#outboxLoop(led), this.#expiryLoop(led)]);
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(error);
        await pause(this.#parts.pollMs, signal);
      } finally {
        this.#health = { ...this.#health, leads: false };
      }
    }
  }

  #indexLoop(signal: AbortSignal): Promise<void> {
    return this.#loop(this.#parts.pollMs, signal, async () => {
      const { block } = await indexChain(this.#parts, signal);
      this.#health = { ...this.#health, block };
    });
  }

  #outboxLoop(signal: AbortSignal): Promise<void> {
    return this.#loop(this.#parts.batchWindowMs, signal, async () => {
      await recordPushes(this.#parts, signal);
      this.#health = { ...this.#health, queueDepth: await this.#parts.ledger.queueDepth() };
    });
  }

  #expiryLoop(signal: AbortSignal): Promise<void> {
    return this.#loop(expiryMs, signal, async () => {
      await this.#parts.ledger.expireHolds(this.#parts.nowSeconds());
    });
  }

  /** Rounds with a pause between; after a failure the pause doubles, up to half a minute. */
  async #loop(everyMs: number, signal: AbortSignal, round: () => Promise<void>): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await round();
        failures = 0;
        this.#health = { ...this.#health, failure: undefined };
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.#fail(error);
      }
      await pause(Math.min(everyMs * 2 ** failures, Math.max(everyMs, backOffMaxMs)), signal);
    }
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error);
    if (failure !== this.#health.failure)
      this.#parts.log.warn({ error }, "the keeper could not finish a round");
    this.#health = { ...this.#health, failure };
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
