import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { type Address, type Bytes32, type RepoId, isAddress, parseAddress } from "./ids.ts";

/** What one author brought in one Push. */
export interface Contribution {
  /** The author's account, or the escrow address of an e-mail that no account has claimed. */
  readonly author: Address;
  readonly name: string;
  /** True when `author` is an escrow address. */
  readonly escrow: boolean;
  /** Commits by this author that no earlier Push of the repository brought; merges do not count. */
  readonly commits: number;
}

/** Who wrote a commit that a Push introduced. */
export interface IntroducedCommit {
  readonly name: string;
  readonly email: string;
  readonly isMerge: boolean;
}

/** How many authors of one Push are listed on chain one by one; the Merkle root covers all of them. */
export const authorsListedMax = 16;

const walletEmailPattern = /^(0x[0-9a-f]{40})@/;

/**
 * Commits grouped by author, the largest first (ties by address). An e-mail whose local part is a wallet address
 * (`0x…@users.gitd`) belongs to that wallet; any other goes to an escrow address, never to the pusher.
 */
export function contributionsOf(repo: RepoId, commits: Iterable<IntroducedCommit>): Contribution[] {
  const byAuthor = new Map<Address, { name: string; escrow: boolean; commits: number }>();
  for (const commit of commits) {
    if (commit.isMerge) continue;
    const { author, escrow } = accountOf(repo, commit.email);
    const known = byAuthor.get(author);
    if (known) known.commits += 1;
    else byAuthor.set(author, { name: commit.name, escrow, commits: 1 });
  }
  return [...byAuthor]
    .map(([author, facts]) => ({ author, ...facts }))
    .sort((a, b) => b.commits - a.commits || (a.author < b.author ? -1 : 1));
}

/** The account an author's e-mail stands for in this repository. */
export function accountOf(repo: RepoId, email: string): { author: Address; escrow: boolean } {
  const lower = email.trim().toLowerCase();
  const wallet = walletEmailPattern.exec(lower)?.[1];
  if (wallet !== undefined && isAddress(wallet)) return { author: parseAddress(wallet), escrow: false };
  const digest = keccak_256(utf8ToBytes(`gitd/escrow/1\n${repo}\n${lower}`));
  return { author: `0x${bytesToHex(digest.slice(12))}` as Address, escrow: true };
}

/**
 * Merkle root over (author, commits), sorted pairs, leaves hashed twice (OpenZeppelin's merkle-tree convention, which
 * keeps a node from passing as a leaf). Zero for no contributions.
 */
export function contributionsRoot(contributions: readonly Contribution[]): Bytes32 {
  let level: Uint8Array[] = contributions.map((one) =>
    keccak_256(keccak_256(concatBytes(word(BigInt(one.author)), word(BigInt(one.commits))))),
  );
  if (level.length === 0) return `0x${"0".repeat(64)}` as Bytes32;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const left = level[at] as Uint8Array;
      const right = level[at + 1];
      next.push(right === undefined ? left : hashPair(left, right));
    }
    level = next;
  }
  return `0x${bytesToHex(level[0] as Uint8Array)}` as Bytes32;
}

function hashPair(a: Uint8Array, b: Uint8Array): Uint8Array {
  const inOrder = bytesToHex(a) < bytesToHex(b);
  return keccak_256(inOrder ? concatBytes(a, b) : concatBytes(b, a));
}

function word(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, "0"));
}
