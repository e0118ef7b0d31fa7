import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KuboStore, openKuboStore } from "../../server/content/kubo.ts";
import { type KuboDaemon, startKubo } from "../support/kubo.ts";
import { needPeer } from "../support/peers.ts";
import { absentCid, collect, contentLaws, fails, noise, soon } from "./content.laws.ts";

describe("a Kubo daemon", function () {
  this.timeout(60_000);
  let kubo: KuboDaemon;
  let directory: string;

  before(async function () {
    kubo = await startKubo(await needPeer(this, "kubo"), { offline: true });
    directory = await mkdtemp(join(tmpdir(), "gitd-kubo-kept-"));
  });
  after(async () => {
    await kubo?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  contentLaws(async () => ({
    store: await openKuboStore({ url: kubo.rpcUrl, directory: join(directory, "laws") }),
    [Symbol.asyncDispose]: async () => undefined,
  }));

  it("keeps only the latest files here", async () => {
    const kept = join(directory, "kept");
    const store = await openKuboStore({ url: kubo.rpcUrl, directory: kept, keptBytesMax: 250n });
    const source = join(directory, "source");
    for (const seed of ["a", "b", "c"]) {
      await writeFile(source, noise(100, seed));
      const { cid } = await store.addFile(source, soon());
      await store.localPath(cid, soon());
    }
    assert.equal((await readdir(kept)).length, 2);
  });
});

describe("no Kubo daemon", () => {
  it("is storage-unavailable for every call", async () => {
    const store = new KuboStore({ url: "http://127.0.0.1:9", directory: tmpdir() });
    await assert.rejects(store.ready(), fails("storage-unavailable"));
    await assert.rejects(store.getBlock(absentCid, soon()), fails("storage-unavailable"));
    await assert.rejects(collect(store.readFile(absentCid, soon())), fails("storage-unavailable"));
    await assert.rejects(store.hasBlock(absentCid), fails("storage-unavailable"));
  });
});
