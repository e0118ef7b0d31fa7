import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, link, mkdir, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { FaultyStore } from "../../server/content/faulty.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { VerifiedStore } from "../../server/content/verified.ts";
import { GitdError } from "../../server/domain/errors.ts";
import { type Cid, parseCid } from "../../server/domain/ids.ts";
import { linksOf } from "../../server/content/dag-links.ts";
import { type OpenedStore, collect, contentLaws, fails, mib, noise, soon } from "./content.laws.ts";

async function openTemp(): Promise<OpenedStore & { readonly store: FlatStore; readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "gitd-flat-"));
  const store = await openFlatStore({ directory });
  return {
    store,
    directory,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

describe("the flat store", function () {
  this.timeout(60_000);
  contentLaws(openTemp);
});

describe("the flat store, verified", function () {
  this.timeout(60_000);
  contentLaws(async () => {
    const opened = await openTemp();
    return {
      store: new VerifiedStore(opened.store),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  });
});

describe("the flat store on its disk", function () {
  this.timeout(60_000);
  let opened: Awaited<ReturnType<typeof openTemp>>;
  let store: FlatStore;
  let source: string;

  beforeEach(async () => {
    opened = await openTemp();
    store = opened.store;
    source = join(opened.directory, "source");
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  async function add(bytes: Uint8Array): Promise<Cid> {
    await writeFile(source, bytes);
    const { cid } = await store.addFile(source, soon());
    await rm(source);
    return cid;
  }

  async function writablePath(cid: Cid): Promise<string> {
    const path = await store.localPath(cid, soon());
    await chmod(path, 0o600);
    return path;
  }

  async function damage(cid: Cid, at: number): Promise<void> {
    const file = await open(await writablePath(cid), "r+");
    await file.write("?", at);
    await file.close();
  }

  it("links the file instead of copying it", async () => {
    await writeFile(source, noise(100));
    const { cid } = await store.addFile(source, soon());
    assert.equal((await stat(source)).mode & 0o777, 0o444);
    assert.equal((await stat(source)).ino, (await stat(await store.localPath(cid, soon()))).ino);
    assert.deepEqual(await readdir(join(opened.directory, "temp")), []);
  });

  it("notices a damaged leaf, and is healed by the same file again", async () => {
    const bytes = noise(2 * mib + 5);
    const cid = await add(bytes);
    const leaves = linksOf(cid, await store.getBlock(cid, soon()));
    await damage(cid, mib + 7);
    const [first, second] = leaves;
    assert.ok(first !== undefined && second !== undefined);
    await store.getBlock(first, soon());
    await assert.rejects(store.getBlock(second, soon()), fails("content-mismatch"));
    await assert.rejects(collect(new VerifiedStore(store).readFile(cid, soon())), fails("content-mismatch"));
    assert.equal(await add(bytes), cid);
    assert.ok((await collect(new VerifiedStore(store).readFile(cid, soon()))).equals(bytes));
  });

  it("reads a leaf from another file that has it when one is damaged", async () => {
    const shared = noise(mib, "shared");
    const one = await add(Buffer.concat([shared, noise(1)]));
    const two = await add(Buffer.concat([shared, noise(2)]));
    const [leaf] = linksOf(one, await store.getBlock(one, soon()));
    assert.ok(leaf !== undefined);
    assert.deepEqual(new Set(await store.filesHolding(leaf)), new Set([one, two]));
    await damage(one, 0);
    assert.ok(Buffer.from(await store.getBlock(leaf, soon())).equals(shared));
    await damage(two, 0);
    await assert.rejects(store.getBlock(leaf, soon()), fails("content-mismatch"));
  });

  it("notices a file that became shorter or vanished", async () => {
    const short = await add(noise(mib + 5, "short"));
    await truncate(await writablePath(short), 7);
    await assert.rejects(collect(store.readFile(short, soon())), fails("content-mismatch"));
    await assert.rejects(store.localPath(short, soon()), fails("content-mismatch"));
    const gone = await add(noise(5, "gone"));
    await rm(await store.localPath(gone, soon()));
    await assert.rejects(collect(store.readFile(gone, soon())), fails("content-mismatch"));
    assert.equal(await add(noise(5, "gone")), gone);
    assert.equal((await collect(store.readFile(gone, soon()))).length, 5);
  });

  it("refuses a file that changes while it is stored", async () => {
    await writeFile(source, noise(64 * mib));
    await using writer = await open(source, "a");
    let added = false;
    const adding = store.addFile(source, soon()).finally(() => {
      added = true;
    });
    const refused = assert.rejects(adding, fails("content-mismatch"));
    while (!added) await writer.write("x");
    await refused;
    assert.deepEqual(await readdir(join(opened.directory, "temp")), []);
  });

  it("refuses a folder", async () => {
    await mkdir(source);
    await assert.rejects(store.addFile(source, soon()));
    assert.deepEqual(await readdir(join(opened.directory, "temp")), []);
  });

  it("leaves nothing behind when the caller leaves", async () => {
    await writeFile(source, noise(64 * mib));
    const caller = new AbortController();
    const adding = store.addFile(source, { signal: caller.signal });
    caller.abort();
    await assert.rejects(adding, { name: "AbortError" });
    assert.deepEqual(await readdir(join(opened.directory, "temp")), []);
    assert.deepEqual(await readdir(join(opened.directory, "files")), []);
  });

  it("sweeps what a dead process left, and nothing of a running one", async () => {
    const temp = join(opened.directory, "temp");
    await writeFile(source, "left");
    await link(source, join(temp, "999999999-dead"));
    await link(source, join(temp, `${process.pid}-alive`));
    await using again = await openFlatStore({ directory: opened.directory });
    await again.ready();
    assert.deepEqual(await readdir(temp), [`${process.pid}-alive`]);
  });

  it("is one store for several that open it", async () => {
    await using other = await openFlatStore({ directory: opened.directory });
    const cids: Cid[] = [];
    for (let round = 0; round < 20; round += 1) {
      const path = join(opened.directory, `round-${round}`);
      await writeFile(path, noise(1000 + round));
      const both = await Promise.all([store.addFile(path, soon()), other.addFile(path, soon())]);
      cids.push(...both.map(({ cid }) => cid));
    }
    assert.equal(new Set(cids).size, 20);
    for (const cid of cids) assert.notEqual(await other.stat(cid), undefined);
    await Promise.all(cids.map((cid, index) => (index % 2 === 0 ? store : other).removeFile(cid)));
    for (const cid of cids) assert.equal(await store.stat(cid), undefined);
  });

  it("has all it acknowledged, whole, after being killed", async () => {
    const script = fileURLToPath(new URL("content-flat-child.ts", import.meta.url));
    const acknowledged: Cid[] = [];
    for (const wanted of [3, 8, 15]) {
      const child = spawn(process.execPath, [script, opened.directory], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(child, "exit");
      let seen = 0;
      for await (const line of createInterface(child.stdout)) {
        acknowledged.push(parseCid(line));
        if ((seen += 1) === wanted) child.kill("SIGKILL");
      }
      await ended;
      assert.ok(seen >= wanted);
    }
    await using again = await openFlatStore({ directory: opened.directory });
    for (const cid of acknowledged) await collect(new VerifiedStore(again).readFile(cid, soon()));
    assert.deepEqual(await readdir(join(opened.directory, "temp")), []);
    for (const shard of await readdir(join(opened.directory, "files"))) {
      for (const name of await readdir(join(opened.directory, "files", shard))) {
        const { size } = await stat(join(opened.directory, "files", shard, name));
        assert.equal(size, 3 * mib);
      }
    }
  });

  it("fails by plan when told to", async () => {
    const cid = await add(noise(2 * mib, "plan"));
    let chunks = 0;
    const faulty = new FaultyStore(store, (call) => {
      if (call === "chunk") chunks += 1;
      return call === "stat" || chunks === 2 ? new GitdError("storage-unavailable", "as planned") : undefined;
    });
    await assert.rejects(faulty.stat(cid), fails("storage-unavailable"));
    assert.equal(await faulty.hasBlock(cid), true);
    await assert.rejects(collect(faulty.readFile(cid, soon())), fails("storage-unavailable"));
  });
});
