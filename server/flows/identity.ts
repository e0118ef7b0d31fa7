import type { Bond } from "../domain/bond.ts";
import { type AccessLevel, type Grant, scopeAllows } from "../domain/grant.ts";
import type { Address, Bytes32, RepoPath } from "../domain/ids.ts";

/** Who sends a request. */
export type Identity = Anonymous | Granted;

export interface Anonymous {
  readonly kind: "anonymous";
}

/** The sender of a Grant that was checked: signed by the account or its Bond's session key, for this host, in force. */
export interface Granted {
  readonly kind: "granted";
  readonly account: Address;
  readonly grant: Grant;
  /** The Grant's EIP-712 digest. */
  readonly id: Bytes32;
  /** The Bond that pays; undefined when the Grant names none. */
  readonly bond: Bond | undefined;
}

export const anonymous: Anonymous = { kind: "anonymous" };

/** Whether the sender's Grant reaches `level` on the repository; says nothing about what the account itself may do there. */
export function inScope(identity: Identity, path: RepoPath, level: AccessLevel): boolean {
  return identity.kind === "granted" && scopeAllows(identity.grant.scope, path, level);
}
