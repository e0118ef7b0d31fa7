import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { needPeer } from "../support/peers.ts";
import { run } from "../support/processes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("the shell scripts", () => {
  it("pass shellcheck", async function () {
    const shellcheck = await needPeer(this, "shellcheck");
    const scripts = await shellScripts();
    assert.ok(scripts.includes(".ci/run"));
    const { code, stdout } = await run(shellcheck.path, scripts, { cwd: root });
    assert.equal(code, 0, stdout);
  });
});

async function shellScripts(): Promise<string[]> {
  const { stdout } = await run("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root });
  const names = stdout.split("\n").filter((name) => /^(\.ci|hooks\/bin|cli)\/[a-z-]+$/.test(name));
  const scripts: string[] = [];
  for (const name of names) {
    const [first = ""] = (await readFile(join(root, name), "utf8")).split("\n");
    if (/^#!.*\b(ba|da)?sh\b/.test(first)) scripts.push(name);
  }
  return scripts;
}
