import { type HoldTerms, type Price, priceUp } from "../server/domain/bond.ts";
import type { Address, Bytes32, RepoId } from "../server/domain/ids.ts";
import type { Receipt } from "../server/domain/receipt.ts";

/** One access as it ended. */
export interface FinishedRead {
  readonly id: string;
  readonly grant: Bytes32 | null;
  readonly bond: bigint;
  readonly account: Address | null;
  readonly repo: RepoId;
  readonly operation: Receipt["operation"];
  readonly bytesSent: bigint;
  readonly complete: boolean;
  readonly contentSha256: string;
  readonly time: bigint;
}

/** The Receipt of an access: priced by the bytes really sent, never beyond what was held. `terms` is undefined for free reads. */
export function receiptOf(read: FinishedRead, price: Price, terms: HoldTerms | undefined): Receipt {
  if (terms === undefined) return { ...read, charged: 0n };
  const bytesSent = read.bytesSent < terms.bytes ? read.bytesSent : terms.bytes;
  const full = priceUp(price, bytesSent);
  return { ...read, bytesSent, charged: full < terms.amount ? full : terms.amount };
}
