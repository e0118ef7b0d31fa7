import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/**
 * `node contracts/compile.ts` writes what the server and the CLI use of the contracts to contracts/artifacts/. The same
 * sources give the same text on every machine, so a test holds them to it.
 *
 * With `--version` or `--standard-json` (on stdin) it answers as a native compiler does, which is all that forge asks of
 * one; see test/solidity/solc.
 */

const folder = new URL("./", import.meta.url);
const artifacts = new URL("artifacts/", folder);
const require = createRequire(import.meta.url);

/** Contracts that are deployed, and the names their artifacts go by in TypeScript. */
const deployed = {
  ProvenanceRegistry: "provenanceRegistry",
  AccessBond: "accessBond",
  Codex: "codex",
} as const;

const settings = {
  optimizer: { enabled: true, runs: 20_000 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
} as const;

interface SolcOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { readonly abi: unknown; readonly evm: { readonly bytecode: { readonly object: string } } }
        >
      >
    >
  >;
}

interface Solc {
  version(): string;
  compile(input: string, callbacks?: { import: (path: string) => { contents: string } }): string;
}

/** Compiles sources, each by its path from this folder, with the npm compiler; what they import is read from disk. */
export function compile(sources: Readonly<Record<string, string>>): SolcOutput["contracts"] {
  const resolve = (path: string): { contents: string } => ({
    contents: readFileSync(
      path.startsWith("@") ? require.resolve(path) : fileURLToPath(new URL(path, folder)),
      "utf8",
    ),
  });
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([path, content]) => [path, { content }])),
    settings,
  };
  const output = JSON.parse(solc().compile(JSON.stringify(input), { import: resolve })) as SolcOutput;
  const failures = (output.errors ?? []).filter((error) => error.severity === "error");
  if (failures.length > 0) throw new Error(failures.map((error) => error.formattedMessage).join("\n"));
  return output.contracts;
}

/** The text of each artifact module by its file name, freshly compiled. */
export async function compileArtifacts(): Promise<Map<string, string>> {
  const sources: Record<string, string> = {};
  for (const contract of Object.keys(deployed)) {
    sources[`${contract}.sol`] = await readFile(new URL(`${contract}.sol`, folder), "utf8");
  }
  const contracts = compile(sources);
  const modules = new Map<string, string>();
  for (const [contract, name] of Object.entries(deployed)) {
    const built = contracts[`${contract}.sol`]?.[contract];
    if (built === undefined) throw new Error(`the compiler gave nothing for ${contract}`);
    modules.set(`${contract}.ts`, artifactModule(name, built.abi, built.evm.bytecode.object));
  }
  return modules;
}

/** Loaded when asked for: it takes half a second. */
function solc(): Solc {
  return require("solc") as Solc;
}

function artifactModule(name: string, abi: unknown, bytecode: string): string {
  return [
    "// Written by `npm run contracts`; do not edit.",
    `export const ${name}Abi = ${JSON.stringify(abi)} as const;`,
    `export const ${name}Bytecode = "0x${bytecode}";`,
    "",
  ].join("\n");
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes("--version")) {
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc().version()}\n`);
  } else if (args.includes("--standard-json")) {
    process.stdout.write(solc().compile(await text(process.stdin)));
  } else {
    await mkdir(artifacts, { recursive: true });
    for (const [name, module] of await compileArtifacts()) await writeFile(new URL(name, artifacts), module);
  }
}

if (import.meta.main) await main(process.argv.slice(2));
