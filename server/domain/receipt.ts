import type { Address, Bytes32, RepoId } from "./ids.ts";

/** The record of one finished access: what was sent and what it cost. */
export interface Receipt {
  readonly id: string;
  /** The Grant's digest, or null for a free read. */
  readonly grant: Bytes32 | null;
  readonly bond: bigint;
  readonly account: Address | null;
  readonly repo: RepoId;
  readonly operation: "clone" | "fetch" | "gateway";
  /** Pack or block bytes really handed to the socket, also when the client left early. */
  readonly bytesSent: bigint;
  /** µCODEX. */
  readonly charged: bigint;
  /** False when the client left before the end. */
  readonly complete: boolean;
  /** SHA-256 of the bytes sent, in hex. */
  readonly contentSha256: string;
  /** Seconds since 1970. */
  readonly time: bigint;
}
