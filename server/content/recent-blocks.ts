import { setTimeout as delay } from "node:timers/promises";
import type { Cid } from "../domain/ids.ts";

/** Helia does not send a block to one peer twice within 5 s, and forgets that it was asked to. */
const resendMs = 6_000;
const heldBytesMax = 32 * 1024 * 1024;

interface Entry {
  readonly bytes: Promise<Uint8Array>;
  /** Undefined while under way. */
  endedAtMs: number | undefined;
  sizeBytes: number;
  isHeld: boolean;
}

/**
 * One fetch for all who want a block at the same time, and its bytes for those who want it shortly after: asking a peer
 * again too soon would wait in vain. A block that had to make room is asked for once the peer listens again.
 */
export class RecentBlocks {
  readonly #fetch: (cid: Cid) => Promise<Uint8Array>;
  readonly #nowMs: () => number;
  /** In the order they were asked for. */
  readonly #entries = new Map<Cid, Entry>();
  #heldBytes = 0;

  constructor(fetch: (cid: Cid) => Promise<Uint8Array>, nowMs: () => number = () => performance.now()) {
    this.#fetch = fetch;
    this.#nowMs = nowMs;
  }

  async get(cid: Cid, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      signal.throwIfAborted();
      this.#prune();
      const entry = this.#entries.get(cid) ?? this.#start(cid);
      if (entry.isHeld) return await unless(signal, entry.bytes);
      await delay(resendMs - (this.#nowMs() - (entry.endedAtMs ?? 0)) + 1, undefined, { signal });
    }
  }

  #start(cid: Cid): Entry {
    const entry: Entry = { bytes: this.#fetch(cid), endedAtMs: undefined, sizeBytes: 0, isHeld: true };
    this.#entries.set(cid, entry);
    void this.#settle(cid, entry);
    return entry;
  }

  async #settle(cid: Cid, entry: Entry): Promise<void> {
    const [outcome] = await Promise.allSettled([entry.bytes]);
    if (outcome.status === "rejected") {
      // NOTE: a failed fetch took longer than a peer's memory, so it may be tried again at once.
      this.#entries.delete(cid);
      return;
    }
    entry.sizeBytes = outcome.value.length;
    entry.endedAtMs = this.#nowMs();
    this.#heldBytes += entry.sizeBytes;
    this.#makeRoom();
  }

  #makeRoom(): void {
    for (const [cid, entry] of this.#entries) {
      if (this.#heldBytes <= heldBytesMax) return;
      if (entry.endedAtMs === undefined || !entry.isHeld) continue;
      this.#heldBytes -= entry.sizeBytes;
      this.#entries.set(cid, {
        bytes: Promise.resolve(new Uint8Array()),
        endedAtMs: entry.endedAtMs,
        sizeBytes: 0,
        isHeld: false,
      });
    }
  }

  #prune(): void {
    const before = this.#nowMs() - resendMs;
    for (const [cid, entry] of this.#entries) {
      if (entry.endedAtMs === undefined || entry.endedAtMs > before) continue;
      this.#heldBytes -= entry.sizeBytes;
      this.#entries.delete(cid);
    }
  }
}

async function unless<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
