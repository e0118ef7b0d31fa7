import type { Chain, ChainEvent } from "../../chain/port.ts";
import type { AccessLedger, Cursor, OutboxLedger, RepositoryLedger } from "../../ledger/port.ts";
import type { Logger } from "../../log.ts";

export interface IndexChainParts {
  readonly ledger: OutboxLedger &
    Pick<AccessLedger, "putBond"> &
    Pick<RepositoryLedger, "setNamespaceOwner" | "setWriter">;
  readonly chain: Pick<Chain, "blockHash" | "blocks" | "bond" | "headOf" | "latestBlock" | "send">;
  /** True for the embedded chain: its blocks' transactions are kept, so that what it loses can be sent again. */
  readonly keepsRaw: boolean;
  /** Called before lost transactions are sent again. */
  readonly beforeReplay: () => Promise<void>;
  readonly log: Logger;
}

const blocksPerRound = 200n;

/** One round of reading the chain: notices that it lost or changed blocks, then takes in the new ones. */
export async function indexChain(parts: IndexChainParts, signal: AbortSignal): Promise<Cursor> {
  const { chain, keepsRaw, ledger } = parts;
  const start = await settledCursor(parts, signal);
  const latest = await chain.latestBlock({ signal });
  let cursor = start ?? { block: -1n, hash: latest.hash };
  while (cursor.block < latest.number) {
    const to = min(cursor.block + blocksPerRound, latest.number);
    const spans = await chain.blocks(cursor.block + 1n, to, { signal, withRaw: keepsRaw });
    if (spans.length === 0) break;
    for (const span of spans) {
      await applyEvents(parts, span.events, signal);
      if (keepsRaw && span.rawTransactions.length > 0) {
        await ledger.keepRawTransactions(span.number, span.rawTransactions);
      }
      cursor = { block: span.number, hash: span.hash };
      if (span.events.length > 0 || span.number === latest.number || span.number === to)
        await ledger.setCursor(cursor);
    }
  }
  return cursor;
}

/** The cursor, moved back to the last block that the chain still has as it was read. */
async function settledCursor(parts: IndexChainParts, signal: AbortSignal): Promise<Cursor | undefined> {
  const { chain, ledger, log } = parts;
  const cursor = await ledger.cursor();
  if (cursor === undefined) return undefined;
  const latest = await chain.latestBlock({ signal });
  let block = cursor.block;
  while (block >= 0n) {
    const known = await ledger.blockHashAt(block);
    const now = block > latest.number ? undefined : await chain.blockHash(block, { signal });
    if (known !== undefined && known === now) {
      if (block === cursor.block) return cursor;
      log.warn(
        { from: cursor.block, to: block },
        "the chain lost or changed blocks; reading it again from there",
      );
      await healAfter(parts, block, signal);
      return { block, hash: known };
    }
    block -= 1n;
  }
  log.warn({ from: cursor.block }, "the chain is another one than before; reading it from its start");
  await healAfter(parts, -1n, signal);
  return undefined;
}

/** What was recorded in lost blocks is recorded again, and on the embedded chain users' transactions are sent again. */
async function healAfter(parts: IndexChainParts, block: bigint, signal: AbortSignal): Promise<void> {
  const { chain, keepsRaw, ledger, log } = parts;
  if (keepsRaw) {
    await parts.beforeReplay();
    for (const raw of await ledger.rawTransactionsFrom(block + 1n)) {
      try {
        await chain.send(raw, { signal });
      } catch (error) {
        // NOTE: a transaction that depended on one that is gone for good cannot be mined again; the others still can.
        log.warn({ error }, "a lost transaction could not be sent again");
      }
    }
  }
  for (const repo of await ledger.recordedSince(block + 1n)) {
    const { seq } = await chain.headOf(repo, { signal });
    await ledger.requeueAfter(repo, seq);
  }
}

async function applyEvents(
  parts: IndexChainParts,
  events: readonly ChainEvent[],
  signal: AbortSignal,
): Promise<void> {
  const { chain, ledger } = parts;
  for (const event of events) {
    switch (event.kind) {
      case "push-recorded":
        await ledger.markRecorded(event.repo, event.seq, event.transaction, event.block);
        break;
      case "namespace-claimed":
        await ledger.setNamespaceOwner(event.namespace, event.owner);
        break;
      case "writer-set":
        await ledger.setWriter(event.repo, event.account, event.allowed);
        break;
      case "bond-changed": {
        const bond = await chain.bond(event.bond, { signal });
        if (bond !== undefined) await ledger.putBond(bond);
        break;
      }
      case "repository-created":
        break;
      default:
        event satisfies never;
    }
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
