import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { compileArtifacts } from "../../contracts/compile.ts";

const folder = new URL("../../contracts/artifacts/", import.meta.url);

describe("contract artifacts", () => {
  it("are what the compiler makes of the sources", async () => {
    const fresh = await compileArtifacts();
    assert.deepEqual((await readdir(folder)).sort(), [...fresh.keys()].sort());
    for (const [name, text] of fresh) {
      // NOTE: compared as a boolean, as a difference between two bytecodes says nothing to a reader.
      const same = (await readFile(new URL(name, folder), "utf8")) === text;
      assert.ok(same, `contracts/artifacts/${name} is stale: npm run contracts`);
    }
  }).timeout(60_000);
});
