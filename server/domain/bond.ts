import { GitdError } from "./errors.ts";
import type { Address, Bytes32 } from "./ids.ts";

/** The chain's word on a Bond, as of its last indexed block. Amounts in µCODEX (1 CODEX = 1,000,000 µCODEX). */
export interface Bond {
  readonly id: bigint;
  readonly owner: Address;
  readonly pool: Bytes32;
  readonly deposit: bigint;
  /** Part of the deposit that its owner has asked back. */
  readonly thawing: bigint;
  /** Seconds since 1970. */
  readonly lockEnd: bigint;
  readonly epoch: number;
  readonly quotaCalls: bigint;
  readonly quotaBytes: bigint;
  readonly weight: bigint;
  readonly signers: readonly Address[];
}

/** What a Bond has used of the running period, holds included. */
export interface Usage {
  readonly calls: bigint;
  readonly bytes: bigint;
  /** µCODEX charged and not yet settled, holds included. */
  readonly unsettled: bigint;
  /** µCODEX charged to the Grant so far, holds included. */
  readonly grantCharged: bigint;
}

export interface Price {
  /** µCODEX for each access. */
  readonly perCall: bigint;
  /** µCODEX for each GiB sent. */
  readonly perGib: bigint;
}

export type Policy = "open" | "bonded" | "private";

/** What an access asks for before it starts. */
export interface Ask {
  readonly bytes: bigint;
  /** The fewest bytes worth starting with: the whole answer for a clone, 0 where a part may do. */
  readonly bytesLeast: bigint;
  readonly price: Price;
  readonly grantCap: bigint;
}

/** Quota and credit to set aside for one access. */
export interface HoldTerms {
  readonly bytes: bigint;
  readonly amount: bigint;
}

/** Quota periods have 30 days, counted from 1970 so that every front agrees on them. */
export const quotaPeriodSeconds = 30n * 24n * 3600n;
export const gibibyte = 1n << 30n;
const holdsPerBondMax = 64;

export function quotaPeriodAt(timeSeconds: bigint): bigint {
  return timeSeconds / quotaPeriodSeconds;
}

/** What an access costs, rounded up once per access: `perCall + perGib · bytes / GiB`. */
export function priceUp(price: Price, bytes: bigint): bigint {
  return price.perCall + (price.perGib * bytes + gibibyte - 1n) / gibibyte;
}

/** Decides an access: the Hold to take, or a thrown refusal that says which limit stands in the way. Pure. */
export function admit(bond: Bond, usage: Usage, openHolds: number, ask: Ask): HoldTerms {
  if (openHolds >= holdsPerBondMax) {
    throw new GitdError("rate-limited", `bond ${bond.id} already has ${openHolds} accesses under way`, {
      fix: "wait for them to end, or spread the load over several bonds",
      retryAfterSeconds: 10,
    });
  }
  if (usage.calls >= bond.quotaCalls)
    throw quota(bond, `all ${bond.quotaCalls} calls of this period are used`);
  const bytesLeft = bond.quotaBytes - usage.bytes;
  if (bytesLeft <= 0n || bytesLeft < ask.bytesLeast) {
    throw quota(
      bond,
      `${bytesLeft > 0n ? bytesLeft : 0n} of ${bond.quotaBytes} bytes are left in this period, and this access may take ${ask.bytesLeast}`,
    );
  }
  const bytes = ask.bytes < bytesLeft ? ask.bytes : bytesLeft;
  const amount = priceUp(ask.price, bytes);
  const credit = bond.deposit - bond.thawing - usage.unsettled;
  if (amount > credit) {
    throw new GitdError(
      "credit-exhausted",
      `bond ${bond.id} has ${formatCodex(credit)} CODEX of free credit, and this access may cost ${formatCodex(amount)}`,
      {
        fix: `add to it: gitd bond top-up ${bond.id} <CODEX>`,
      },
    );
  }
  if (usage.grantCharged + amount > ask.grantCap) {
    throw new GitdError(
      "cap-exceeded",
      `the Grant's cap of ${formatCodex(ask.grantCap)} CODEX does not cover this access (${formatCodex(usage.grantCharged)} used, ${formatCodex(amount)} needed)`,
      {
        fix: "make a Grant with a higher cap: gitd grant create --cap <CODEX>",
      },
    );
  }
  return { bytes, amount };
}

const microPerCodex = 1_000_000n;

/** µCODEX as a decimal number of CODEX. */
export function formatCodex(micro: bigint): string {
  const sign = micro < 0n ? "-" : "";
  const abs = micro < 0n ? -micro : micro;
  const fraction = (abs % microPerCodex).toString().padStart(6, "0").replace(/0+$/, "");
  return `${sign}${abs / microPerCodex}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Reads a decimal number of CODEX, at most six places, into µCODEX. */
export function parseCodex(text: string): bigint {
  const match = /^([0-9]{1,15})(?:\.([0-9]{1,6}))?$/.exec(text);
  if (!match) {
    throw new GitdError("invalid", `'${text.slice(0, 40)}' is not an amount of CODEX`, {
      fix: "write it as a decimal number with at most six places, such as 2.5",
    });
  }
  return BigInt(match[1] as string) * microPerCodex + BigInt((match[2] ?? "").padEnd(6, "0"));
}

function quota(bond: Bond, why: string): GitdError {
  return new GitdError("quota-exhausted", `the quota of bond ${bond.id} is used up: ${why}`, {
    fix: `raise it with a larger deposit: gitd bond top-up ${bond.id} <CODEX>`,
  });
}
