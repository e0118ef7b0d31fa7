import { Contract, ContractFactory, type InterfaceAbi, type Signer } from "ethers";
import { accessBondAbi, accessBondBytecode } from "./artifacts/AccessBond.ts";
import { codexAbi, codexBytecode } from "./artifacts/Codex.ts";
import { provenanceRegistryAbi, provenanceRegistryBytecode } from "./artifacts/ProvenanceRegistry.ts";

export interface Deployment {
  readonly codex: string;
  readonly accessBond: string;
  readonly registry: string;
}

export interface DeployOptions {
  /** The account that will record pushes. */
  readonly recorder: string;
  /** An existing CODEX token; a new one that the signer may mint is deployed unless given. */
  readonly codex?: string;
  /** How long a part of a deposit that is asked back stays liable for debts. */
  readonly thawSeconds: number;
  /** Looked at between transactions: one that was sent is waited for. */
  readonly signal?: AbortSignal;
}

/** Deploys what Gitd needs, owned by the signer. From one account's first transaction on, the addresses are always the same. */
export async function deploy(signer: Signer, options: DeployOptions): Promise<Deployment> {
  const { recorder, thawSeconds, signal } = options;
  const owner = await signer.getAddress();
  const codex = options.codex ?? (await create(signer, codexAbi, codexBytecode, [owner]));
  signal?.throwIfAborted();
  const accessBond = await create(signer, accessBondAbi, accessBondBytecode, [codex, thawSeconds, owner]);
  signal?.throwIfAborted();
  const registry = await create(signer, provenanceRegistryAbi, provenanceRegistryBytecode, [owner]);
  signal?.throwIfAborted();
  const contract = new Contract(registry, provenanceRegistryAbi, signer);
  const allowed = await contract.getFunction("setRecorder").send(recorder, true);
  await allowed.wait();
  return { codex, accessBond, registry };
}

async function create(
  signer: Signer,
  abi: InterfaceAbi,
  bytecode: string,
  parameters: readonly unknown[],
): Promise<string> {
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...parameters);
  await contract.waitForDeployment();
  return contract.getAddress();
}
