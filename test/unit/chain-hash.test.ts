import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  Contract,
  ContractFactory,
  type InterfaceAbi,
  type TransactionResponse,
  TypedDataEncoder,
  Wallet,
  concat,
  keccak256,
  verifyTypedData,
} from "ethers";
import fc from "fast-check";
import { provenanceRegistryAbi } from "../../contracts/artifacts/ProvenanceRegistry.ts";
import { compile } from "../../contracts/compile.ts";
import {
  type PushLeaf,
  headAfter,
  leafHash,
  seqOfHead,
  zeroBytes32,
} from "../../server/domain/chain-hash.ts";
import { type Contribution, contributionsRoot } from "../../server/domain/contribution.ts";
import {
  type Grant,
  grantDigest,
  grantDomain,
  grantSigner,
  grantStruct,
  grantValues,
} from "../../server/domain/grant.ts";
import {
  type Address,
  type Bytes32,
  type RepoPath,
  isReadableNamespace,
  parseAddress,
  parseBytes32,
  parseRepoPath,
  repoIdOf,
} from "../../server/domain/ids.ts";
import { signerOf, typedDigest } from "../../server/domain/typed-data.ts";
import { Anvil } from "../solidity/anvil.ts";

const verifierSource = new URL("../solidity/mocks/MerkleVerifier.sol", import.meta.url);
const chainTimeoutMs = 60_000;
const chainRuns = 12;
const secp256k1Order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(..."0123456789abcdef"), { minLength: digits, maxLength: digits })
    .map((chars) => `0x${chars.join("")}`);
const bytes32 = fc.oneof(hex(64), fc.constant(zeroBytes32)).map(parseBytes32);
const address = hex(40).map(parseAddress);
const uint = (bits: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });

describe("chain hashes against the deployed contract", () => {
  let anvil: Anvil;
  let registry: Contract;

  before(async function () {
    this.timeout(chainTimeoutMs);
    anvil = await Anvil.start();
    registry = new Contract(anvil.contracts.registry, provenanceRegistryAbi, anvil.owner);
  });
  after(() => anvil[Symbol.asyncDispose]());

  it("gives each push the leaf and head that the registry gives it", async () => {
    const owner = parseAddress(anvil.owner.address);
    const heads = new Map<string, Bytes32>();
    const oneOf = fc.record({
      name: fc.constantFrom("one", "two", "three"),
      record: bytes32,
      manifest: bytes32,
      contributionsRoot: bytes32,
      pusher: address,
      authors: fc.array(fc.record({ account: address, commits: uint(64) }), { maxLength: 16 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(oneOf, { minLength: 1, maxLength: 7 }), async (wanted) => {
        const fresh = wanted.filter((push) => !heads.has(push.name)).map(({ name }) => name);
        const leaves: Bytes32[] = [];
        const pushes = wanted.map(({ name, authors, ...rest }) => {
          const previous = heads.get(name) ?? zeroBytes32;
          const seq = seqOfHead(previous) + 1n;
          const push: PushLeaf = { ...rest, repo: repoIdOf({ namespace: owner, name }), previous, seq };
          const leaf = leafHash(push);
          leaves.push(leaf);
          heads.set(name, headAfter(previous, seq, leaf));
          return { ...push, authors };
        });
        const registrations = [...new Set(fresh)].map((name) => ({ namespace: owner, name, owner }));
        await mined(registry.getFunction("commitBatch").send(registrations, pushes));
        for (const [name, head] of heads) {
          const repo = repoIdOf({ namespace: owner, name });
          assert.equal(await registry.getFunction("headOf").staticCall(repo), head);
        }
        const number = await registry.getFunction("batchCount").staticCall();
        for (const [index, leaf] of leaves.entries()) {
          const proof = proofOf(leaves, index);
          assert.ok(await registry.getFunction("verifyInBatch").staticCall(number, leaf, proof));
        }
      }),
      { numRuns: chainRuns },
    );
  }).timeout(chainTimeoutMs);

  it("roots contributions as OpenZeppelin's MerkleProof expects", async () => {
    const contributions: fc.Arbitrary<Contribution[]> = fc.uniqueArray(
      fc.record({ author: address, commits: fc.integer({ min: 1 }) }).map(toContribution),
      { selector: ({ author }) => author, minLength: 1, maxLength: 20 },
    );
    const built = compile({ "MerkleVerifier.sol": await readFile(verifierSource, "utf8") });
    const { abi, evm } = built["MerkleVerifier.sol"]?.["MerkleVerifier"] ?? assert.fail("nothing was built");
    const factory = new ContractFactory(abi as InterfaceAbi, evm.bytecode.object, anvil.owner);
    const verifier = await factory.deploy();
    await verifier.waitForDeployment();
    await fc.assert(
      fc.asyncProperty(contributions, fc.nat(), async (all, pick) => {
        const leaves = all.map((one) => contributionsRoot([one]));
        const index = pick % all.length;
        const proof = proofOf(leaves, index);
        const root = contributionsRoot(all);
        const verify = verifier.getFunction("verify");
        assert.ok(await verify.staticCall(proof, root, leaves[index]));
        assert.ok(!(await verify.staticCall(proof, root, parseBytes32(`0x${"7".repeat(64)}`))));
      }),
      { numRuns: chainRuns },
    );
  }).timeout(chainTimeoutMs);

  it("takes every repository path that the server takes, and names it alike", async () => {
    const owner = parseAddress(anvil.owner.address);
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(..."ab0._-"), minLength: 1, maxLength: 12 }),
      fc.constantFrom("a.lock", "a.git", "x.git.git", "..", "a".repeat(99), "a".repeat(100)),
    );
    const create = registry.getFunction("createRepository");
    await fc.assert(
      fc.asyncProperty(text, async (name) => {
        const path = pathOf(`${owner}/${name}`);
        if (path === undefined) return;
        assert.equal(await create.staticCall(owner, path.name), repoIdOf(path));
      }),
      { numRuns: 100 },
    );
  }).timeout(chainTimeoutMs);

  it("takes exactly the readable namespaces that the server takes", async () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(..."ab0x-"), maxLength: 41 }),
      fc.string({ unit: fc.constantFrom(..."aB9_./"), maxLength: 6 }),
    );
    const claim = registry.getFunction("claimNamespace");
    await fc.assert(
      fc.asyncProperty(text, async (name) => {
        const taken = await claim.staticCall(name).then(
          () => true,
          () => false,
        );
        assert.equal(taken, isReadableNamespace(name));
      }),
      { numRuns: 150 },
    );
  }).timeout(chainTimeoutMs);
});

describe("typed data against ethers", () => {
  const grant: fc.Arbitrary<Grant> = fc.record({
    account: address,
    bond: uint(64),
    service: fc.integer({ min: 0, max: 0xffffffff }),
    audience: fc.string({ unit: "binary", maxLength: 60 }),
    scope: fc.string({ unit: "grapheme", maxLength: 60 }),
    cap: uint(128),
    deadline: uint(64),
    epoch: fc.integer({ min: 0, max: 0xffffffff }),
    nonce: bytes32,
  });
  const types = { [grantStruct.name]: grantStruct.fields.map((field) => ({ ...field })) };
  const key = uint(256)
    .filter((value) => value > 0n && value < secp256k1Order)
    .map((value) => `0x${value.toString(16).padStart(64, "0")}`);

  it("digests a Grant as wallets do", () => {
    fc.assert(
      fc.property(grant, uint(256), address, (terms, chainId, contract) => {
        const domain = grantDomain(chainId, contract);
        const digest = TypedDataEncoder.hash(domain, types, grantValues(terms));
        assert.equal(grantDigest(domain, terms), digest);
        assert.equal(typedDigest(domain, grantStruct, grantValues(terms)), digest);
      }),
    );
  });

  it("recovers who signed", async () => {
    await fc.assert(
      fc.asyncProperty(grant, key, address, async (terms, secret, contract) => {
        const wallet = new Wallet(secret);
        const domain = grantDomain(31337n, contract);
        const signature = await wallet.signTypedData(domain, types, grantValues(terms));
        const signer = grantSigner(domain, { grant: terms, signature });
        assert.equal(signer, wallet.address.toLowerCase());
        assert.equal(verifyTypedData(domain, types, grantValues(terms), signature).toLowerCase(), signer);
      }),
      { numRuns: 40 },
    );
  });

  it("refuses the second form of a signature, and takes any other change for another signer", async () => {
    await fc.assert(
      fc.asyncProperty(bytes32, key, fc.nat({ max: 127 }), async (digest, secret, at) => {
        const wallet = new Wallet(secret);
        const { r, s, v, serialized } = wallet.signingKey.sign(digest);
        const highS = (secp256k1Order - BigInt(s)).toString(16).padStart(64, "0");
        assert.equal(signerOf(digest, `${r}${highS}${v === 27 ? "1c" : "1b"}`), undefined);
        const digit = serialized[at + 2] === "0" ? "1" : "0";
        const changed = `${serialized.slice(0, at + 2)}${digit}${serialized.slice(at + 3)}`;
        assert.notEqual(signerOf(digest, changed), wallet.address.toLowerCase());
      }),
      { numRuns: 60 },
    );
  });
});

function toContribution({ author, commits }: { author: Address; commits: number }): Contribution {
  return { author, commits, name: "someone", escrow: false };
}

function pathOf(text: string): RepoPath | undefined {
  try {
    return parseRepoPath(text);
  } catch (error) {
    if (error instanceof Error && error.name === "GitdError") return undefined;
    throw error;
  }
}

async function mined(sent: Promise<TransactionResponse>): Promise<void> {
  assert.equal((await (await sent).wait())?.status, 1);
}

/** The siblings on a leaf's way to the root, by the rule that the registry's interface states. */
function proofOf(leaves: readonly string[], leaf: number): string[] {
  const proof: string[] = [];
  let level = leaves;
  let index = leaf;
  while (level.length > 1) {
    const sibling = level[index ^ 1];
    if (sibling !== undefined) proof.push(sibling);
    const above: string[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const pair = level.slice(at, at + 2).sort();
      above.push(pair.length === 2 ? keccak256(concat(pair)) : (pair[0] ?? ""));
    }
    level = above;
    index >>= 1;
  }
  return proof;
}
