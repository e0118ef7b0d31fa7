import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { missingFrom, missingScripts } from "./support/documents.ts";
import { faultsOf, importsOf, linesMax, readHouse } from "./support/house.ts";
import { type RunResult, run } from "./support/processes.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

describe("the house", () => {
  it("keeps its floors, names and caps", async () => {
    assert.deepEqual(faultsOf(await readHouse(root)), []);
  });

  it("keeps every function within 70 lines", async () => {
    const { code, stdout, stderr } = await lintForSize(["server", "hooks", "cli", "contracts"], root);
    assert.equal(code, 0, stdout + stderr);
  });
});

describe("the documents", () => {
  for (const document of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
    it(`name only what exists: ${document}`, async () => {
      const described = z.object({ scripts: z.record(z.string(), z.string()) });
      const { scripts } = described.parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
      assert.deepEqual(await missingFrom(root, document), []);
      assert.deepEqual(await missingScripts(root, document, Object.keys(scripts)), []);
    });
  }
});

describe("the rules of the house", () => {
  const broken: [rule: string, files: Record<string, string>, fault: RegExp][] = [
    [
      "the domain imports nothing above it",
      { "server/domain/push.ts": 'import { x } from "../git/port.ts";' },
      /higher floor/,
    ],
    ["the domain does no I/O", { "server/domain/push.ts": 'import { x } from "node:fs";' }, /no I\/O/],
    [
      "rooms of one floor do not know one another",
      { "server/git/cache.ts": 'import { type A } from "../content/port.ts";' },
      /do not know one another/,
    ],
    [
      "flows do not name adapters",
      { "server/flows/push.ts": 'import { y } from "../ledger/sqlite.ts";' },
      /adapters are named only/,
    ],
    [
      "flows do not know the doors",
      { "server/flows/push.ts": 'import { y } from "../http/git.ts";' },
      /higher floor/,
    ],
    [
      "the doors do not name adapters",
      { "server/http/git.ts": 'import {\n  y,\n} from "../chain/ethers.ts";' },
      /adapters are named only/,
    ],
    [
      "a codec does no I/O",
      {
        "server/http/git.ts": 'import { y } from "../git/pkt-line.ts";',
        "server/git/pkt-line.ts": 'import { readFile } from "node:fs/promises";',
      },
      /adapters are named only/,
    ],
    ["main is the roof", { "server/compose.ts": 'import { y } from "./main.ts";' }, /higher floor/],
    [
      "the CLI does not know flows",
      { "cli/log.ts": 'import type { y } from "../server/flows/log.ts";' },
      /the CLI knows/,
    ],
    [
      "the CLI knows ports by their types only",
      { "cli/log.ts": 'import { y } from "../server/chain/port.ts";' },
      /the CLI knows/,
    ],
    [
      "the server does not import tests",
      { "server/http/git.ts": 'import { y } from "../../test/support/git.ts";' },
      /only tests/,
    ],
    [
      "there are no circles",
      {
        "server/domain/a.ts": 'import { b } from "./b.ts";',
        "server/domain/b.ts": 'import { c } from "./c.ts";',
        "server/domain/c.ts": 'import { a } from "./a.ts";',
      },
      /a circle: server\/domain\/a.ts -> server\/domain\/b.ts -> server\/domain\/c.ts/,
    ],
    [
      "the front stays lean",
      {
        "server/front.ts": 'import { c } from "./compose.ts";',
        "server/compose.ts": 'import { h } from "helia";',
      },
      /must stay lean/,
    ],
    ["a file has its cap", { "server/log.ts": "//\n".repeat(linesMax + 1) }, /301 lines/],
    ["a folder says what it holds", { "server/utils/text.ts": "" }, /says nothing/],
    ["a file says what it holds", { "cli/helpers.ts": "" }, /says nothing/],
    ["there are no default exports", { "cli/log.ts": "export default 1;" }, /default export/],
    ["modules keep no state", { "server/http/git.ts": "let count = 0;" }, /state in a module/],
    ["only config reads the environment", { "server/log.ts": 'process.env["X"]' }, /reads the environment/],
    ["only main files end the process", { "server/log.ts": "process.exit(1)" }, /ends the process/],
    ["secrets stay out", { "server/log.ts": `"ghp_${"a".repeat(36)}"` }, /credential/],
  ];
  for (const [rule, files, fault] of broken) {
    it(`bite when broken: ${rule}`, () => {
      const faults = faultsOf(new Map(Object.entries(files)));
      assert.equal(faults.length, 1, JSON.stringify(faults));
      assert.match(faults[0] ?? "", fault);
    });
  }

  it("allow what the house is made of", () => {
    const files = new Map([
      ["server/git/pkt-line.ts", 'import { o } from "../domain/ids.ts";'],
      ["server/domain/ids.ts", ""],
      ["server/git/engine.ts", 'import type { Logger } from "../log.ts";\nimport { a } from "./port.ts";'],
      ["server/flows/push.ts", 'import type { Ledger } from "../ledger/port.ts";'],
      [
        "server/http/git.ts",
        'import { push } from "../flows/push.ts";\nimport { encode } from "../git/pkt-line.ts";',
      ],
      [
        "server/compose.ts",
        'import { open } from "./ledger/sqlite.ts";\nconst { h } = await import("./content/helia.ts");',
      ],
      ["server/content/helia.ts", 'import { createHelia } from "helia";'],
      ["server/front.ts", 'import { front } from "./compose.ts";'],
      ["cli/log.ts", 'import { parse } from "../server/domain/ids.ts";'],
    ]);
    assert.deepEqual(faultsOf(files), []);
  });

  it("read every form of import", () => {
    const text = [
      'import "node:fs";',
      'import type { A } from "./a.ts";',
      'import { type B, c } from "./b.ts";',
      'import {\n  type D,\n  type E,\n} from "../d.ts";',
      'export { f } from "./f.ts";',
      'const g = await import("./g.ts");',
    ].join("\n");
    const found = importsOf("server/http/x.ts", text);
    assert.deepEqual(
      found.map(({ to, typeOnly, dynamic }) => [to, typeOnly, dynamic]),
      [
        ["node:fs", false, false],
        ["server/http/a.ts", true, false],
        ["server/http/b.ts", false, false],
        ["server/d.ts", true, false],
        ["server/http/f.ts", false, false],
        ["server/http/g.ts", false, true],
      ],
    );
  });

  it("bite when broken: a function has its cap", async () => {
    const folder = await mkdtemp(join(tmpdir(), "gitd-house-"));
    try {
      await writeFile(join(folder, "long.ts"), `export function long() {\n${"  f();\n".repeat(71)}}\n`);
      const { code, stdout } = await lintForSize(["."], folder);
      assert.notEqual(code, 0);
      assert.match(stdout, /max-lines-per-function/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function lintForSize(paths: readonly string[], cwd: string): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), "gitd-lint-"));
  try {
    const config = join(folder, "oxlintrc.json");
    const rules = { "max-lines-per-function": ["error", { max: 70 }] };
    await writeFile(config, JSON.stringify({ categories: { correctness: "off" }, rules }));
    const oxlint = join(root, "node_modules/oxlint/bin/oxlint");
    return await run(
      process.execPath,
      [oxlint, "--config", config, "--ignore-pattern", "**/artifacts/**", ...paths],
      {
        cwd,
      },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}
