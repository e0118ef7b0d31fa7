import { digestOfCid } from "../../domain/dag-block.ts";
import { GitdError, isGitdError } from "../../domain/errors.ts";
import type { RepoId } from "../../domain/ids.ts";
import type { Chain, PushToRecord } from "../../chain/port.ts";
import type { Batch, OutboxLedger, PushRow, RepositoryLedger } from "../../ledger/port.ts";
import type { Logger } from "../../log.ts";

export interface RecordPushesParts {
  readonly ledger: OutboxLedger & Pick<RepositoryLedger, "repositoryById">;
  readonly chain: Pick<
    Chain,
    "headOf" | "latestBlock" | "nextNonce" | "send" | "signPushes" | "transactionState"
  >;
  /** Blocks on top of a batch's own until it counts as recorded. */
  readonly confirmations: number;
  readonly log: Logger;
}

/** Pushes in one transaction: about a fifth of a block's gas. */
const batchPushesMax = 64;

/**
 * One round of the outbox: follows the batch that is under way, or freezes and sends the next one. A batch is durable
 * before it is sent and the registry takes each head only once, so doing any of it again changes nothing.
 */
export async function recordPushes(parts: RecordPushesParts, signal: AbortSignal): Promise<void> {
  const open = await parts.ledger.openBatches();
  for (const batch of open) await followBatch(parts, batch, signal);
  if (open.length > 0) return;
  const pushes = await sendable(parts, await parts.ledger.queuedPushes(batchPushesMax), signal);
  if (pushes.length === 0) return;
  const nonce = await parts.chain.nextNonce({ signal });
  const signed = await parts.chain.signPushes(pushes, nonce, { signal });
  const batch = await parts.ledger.freezeBatch({
    transaction: signed.hash,
    raw: signed.raw,
    nonce,
    pushes: pushes.map(({ repo, seq }) => ({ repo, seq })),
  });
  await parts.chain.send(batch.raw, { signal });
  await followBatch(parts, batch, signal);
}

async function followBatch(parts: RecordPushesParts, batch: Batch, signal: AbortSignal): Promise<void> {
  const { chain, confirmations, ledger, log } = parts;
  const state = await chain.transactionState(batch.transaction, { signal });
  switch (state.kind) {
    case "pending":
      return;
    case "unseen":
      try {
        await chain.send(batch.raw, { signal });
      } catch (error) {
        if (!isGitdError(error, "conflict")) throw error;
        log.warn({ batch: batch.id, error }, "batch was overtaken; its pushes go into a new one");
        await settle(parts, batch, signal);
      }
      return;
    case "failed":
      log.warn({ batch: batch.id, reason: state.reason }, "batch failed; its pushes go into a new one");
      await settle(parts, batch, signal);
      return;
    case "mined": {
      const latest = await chain.latestBlock({ signal });
      if (latest.number - state.block < BigInt(confirmations)) return;
      for (const { repo, seq } of batch.pushes) {
        await ledger.markRecorded(repo, seq, batch.transaction, state.block);
      }
      await ledger.closeBatch(batch.id);
      return;
    }
    default:
      state satisfies never;
  }
}

/** Ends a batch that will not be mined: what the registry has all the same is recorded, the rest is queued again. */
async function settle(parts: RecordPushesParts, batch: Batch, signal: AbortSignal): Promise<void> {
  const { chain, ledger } = parts;
  const latest = await chain.latestBlock({ signal });
  for (const { repo, seq } of batch.pushes) {
    const onChain = await chain.headOf(repo, { signal });
    if (onChain.seq >= seq) await ledger.markRecorded(repo, seq, batch.transaction, latest.number);
  }
  await ledger.closeBatch(batch.id);
}

/** The queued Pushes that continue from where the registry is; others are brought in line with it first. */
async function sendable(
  parts: RecordPushesParts,
  queued: readonly PushRow[],
  signal: AbortSignal,
): Promise<PushToRecord[]> {
  const ready: PushToRecord[] = [];
  for (const [repo, pushes] of byRepository(queued)) {
    const known = await parts.ledger.repositoryById(repo);
    if (known === undefined)
      throw new GitdError("internal", `the repository of a queued push is missing: ${repo}`);
    const left = await continuing(parts, repo, pushes, signal);
    for (const push of left) {
      ready.push({
        repo,
        path: known.path,
        owner: known.owner,
        seq: push.seq,
        previous: push.previous,
        record: digestOfCid(push.record),
        manifest: digestOfCid(push.manifest),
        contributionsRoot: push.contributionsRoot,
        pusher: push.pusher,
        contributions: push.contributions,
      });
    }
  }
  return ready;
}

async function continuing(
  parts: RecordPushesParts,
  repo: RepoId,
  pushes: readonly PushRow[],
  signal: AbortSignal,
): Promise<readonly PushRow[]> {
  const { chain, ledger, log } = parts;
  const onChain = await chain.headOf(repo, { signal });
  const latest = await chain.latestBlock({ signal });
  for (const push of pushes.filter(({ seq }) => seq <= onChain.seq)) {
    await ledger.markRecorded(repo, push.seq, push.transaction ?? onChain.head, latest.number);
  }
  const [first, ...others] = pushes.filter(({ seq }) => seq > onChain.seq);
  if (first === undefined) return [];
  if (first.previous === onChain.head) return [first, ...others];
  if (first.seq > onChain.seq + 1n) {
    const requeued = await ledger.requeueAfter(repo, onChain.seq);
    log.warn({ repo, requeued, seq: onChain.seq }, "the chain is behind; its lost pushes are recorded again");
    return [];
  }
  log.error(
    { repo, seq: first.seq },
    "the chain has another history of this repository; nothing more is recorded for it",
  );
  return [];
}

function byRepository(pushes: readonly PushRow[]): Map<RepoId, PushRow[]> {
  const groups = new Map<RepoId, PushRow[]>();
  for (const push of pushes) {
    const group = groups.get(push.repo);
    if (group === undefined) groups.set(push.repo, [push]);
    else group.push(push);
  }
  for (const group of groups.values()) group.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  return groups;
}
