import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linksOf } from "../../server/content/dag-links.ts";
import { fetchFile } from "../../server/content/fetch-file.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { type HeliaNode, openHelia } from "../../server/content/helia.ts";
import { openKuboStore } from "../../server/content/kubo.ts";
import { PeerFilledStore } from "../../server/content/peer-filled.ts";
import { openPeerSource } from "../../server/content/peers.ts";
import type { Cid } from "../../server/domain/ids.ts";
import { type KuboDaemon, startKubo } from "../support/kubo.ts";
import { needPeer } from "../support/peers.ts";
import { collect, fails, mib, noise, soon } from "./content.laws.ts";

interface Side extends AsyncDisposable {
  readonly directory: string;
  readonly store: FlatStore;
  readonly node: HeliaNode;
  /** What anyone may fetch. */
  readonly open: Set<Cid>;
  readonly errors: unknown[];
}

async function openSide(): Promise<Side> {
  const directory = await mkdtemp(join(tmpdir(), "gitd-helia-"));
  const store = await openFlatStore({ directory: join(directory, "content") });
  const open = new Set<Cid>();
  const errors: unknown[] = [];
  const mayServe = async (cid: Cid): Promise<boolean> => {
    if (open.has(cid)) return true;
    return (await store.filesHolding(cid)).some((file) => open.has(file));
  };
  const served = { store, mayServe, onError: (error: unknown) => errors.push(error) };
  const node = await openHelia({ directory: join(directory, "ipfs"), served, blockMsMax: 10_000 });
  return {
    directory,
    store,
    node,
    open,
    errors,
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function addTo(side: Side, bytes: Uint8Array): Promise<Cid> {
  const source = join(side.directory, "source");
  await writeFile(source, bytes);
  const { cid } = await side.store.addFile(source, soon());
  await rm(source);
  return cid;
}

function addressOf(side: Side): string {
  const [address] = side.node.multiaddrs();
  assert.ok(address !== undefined);
  return address;
}

describe("two IPFS nodes", function () {
  this.timeout(60_000);
  let one: Side;
  let two: Side;

  before(async () => {
    one = await openSide();
    two = await openSide();
    await two.node.dial(addressOf(one), soon());
  });
  after(async () => {
    await two?.[Symbol.asyncDispose]();
    await one?.[Symbol.asyncDispose]();
  });

  async function fetchToTwo(cid: Cid): Promise<void> {
    const path = two.store.newTempPath();
    await fetchFile(two.node, cid, { path, ...soon() });
    const stored = await two.store.addFile(path, soon());
    await rm(path);
    assert.equal(stored.cid, cid);
  }

  it("listen on the loopback interface only, unless told otherwise", () => {
    for (const address of one.node.multiaddrs()) {
      assert.match(address, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\//);
    }
  });

  it("keep their key where only the owner can read it", async () => {
    const path = join(one.directory, "ipfs", "libp2p.key");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const key = await readFile(path);
    await using again = await openHelia({ directory: join(one.directory, "ipfs"), listen: [] });
    assert.equal(again.peerId, one.node.peerId);
    assert.deepEqual(again.multiaddrs(), []);
    assert.ok(key.equals(await readFile(path)));
  });

  it("pass on a file of 5 MiB by its Cid", async () => {
    const bytes = noise(5 * mib, "public");
    const cid = await addTo(one, bytes);
    one.open.add(cid);
    const elsewhere = {
      getBlock: two.node.getBlock.bind(two.node),
      obtainFile: (wanted: Cid) => fetchToTwo(wanted),
    };
    const filled = new PeerFilledStore(two.store, elsewhere);
    assert.equal(await two.store.stat(cid), undefined);
    const [read, path] = await Promise.all([
      collect(filled.readFile(cid, soon())),
      filled.localPath(cid, soon()),
    ]);
    assert.ok(read.equals(bytes));
    assert.ok((await readFile(path)).equals(bytes));
    assert.deepEqual(await readdir(join(two.directory, "content", "temp")), []);
  });

  it("pass on a file that repeats one leaf many times", async () => {
    const bytes = Buffer.concat([...Array.from({ length: 20 }, () => noise(mib, "repeated")), noise(9)]);
    const cid = await addTo(one, bytes);
    one.open.add(cid);
    await fetchToTwo(cid);
    assert.ok((await collect(two.store.readFile(cid, soon()))).equals(bytes));
  });

  it("give a block that is asked for again at once", async () => {
    const cid = await addTo(one, noise(50_000, "again"));
    one.open.add(cid);
    for (let round = 0; round < 3; round += 1) {
      assert.equal((await two.node.getBlock(cid, soon())).length, 50_000);
    }
  });

  it("serve neither files nor leaves that not everyone may read", async () => {
    const cid = await addTo(one, noise(2 * mib, "private"));
    const [leaf] = linksOf(cid, await one.store.getBlock(cid, soon()));
    assert.ok(leaf !== undefined);
    const patience = { signal: AbortSignal.timeout(1_500) };
    const answers = await Promise.allSettled([cid, leaf].map((each) => two.node.getBlock(each, patience)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      ["rejected", "rejected"],
    );
  });

  it("do not serve a damaged leaf, and go on with others", async () => {
    const damaged = await addTo(one, noise(mib, "damaged"));
    const whole = await addTo(one, noise(mib, "whole"));
    one.open.add(damaged).add(whole);
    const path = await one.store.localPath(damaged, soon());
    await chmod(path, 0o600);
    await writeFile(path, "?", { flag: "r+" });
    const patience = { signal: AbortSignal.timeout(1_500) };
    const [bad, good] = await Promise.allSettled([
      two.node.getBlock(damaged, patience),
      two.node.getBlock(whole, soon()),
    ]);
    assert.equal(bad.status, "rejected");
    assert.equal(good.status, "fulfilled");
    assert.ok(fails("content-mismatch")(one.errors.at(-1)));
  });

  it("say not-found at once when no peer is connected", async () => {
    await using alone = await openHelia({ directory: join(one.directory, "alone"), listen: [] });
    const cid = await addTo(one, noise(10));
    await assert.rejects(alone.getBlock(cid, soon()), fails("not-found"));
  });

  it("are sources for a restore", async () => {
    const bytes = noise(3 * mib, "restore");
    const cid = await addTo(one, bytes);
    one.open.add(cid);
    const directory = join(one.directory, "cli");
    const dead = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";
    await using source = await openPeerSource({
      peers: [dead, addressOf(one)],
      gateways: [],
      directory,
      ...soon(),
    });
    const path = join(one.directory, "restored");
    await fetchFile(source, cid, { path, ...soon() });
    assert.ok((await readFile(path)).equals(bytes));
    const peers = [dead];
    await assert.rejects(openPeerSource({ peers, gateways: [], directory, ...soon() }), fails("unavailable"));
  });
});

describe("an IPFS node and Kubo", function () {
  this.timeout(60_000);
  let kubo: KuboDaemon;
  let side: Side;

  before(async function () {
    kubo = await startKubo(await needPeer(this, "kubo"), { offline: false });
    side = await openSide();
    await side.node.dial(kubo.swarmAddress, soon());
  });
  after(async () => {
    await side?.[Symbol.asyncDispose]();
    await kubo?.[Symbol.asyncDispose]();
  });

  it("fetch files from each other by their Cids", async () => {
    const store = await openKuboStore({ url: kubo.rpcUrl, directory: join(side.directory, "kept") });
    const ours = noise(3 * mib + 7, "ours");
    const cid = await addTo(side, ours);
    side.open.add(cid);
    assert.ok((await readFile(await store.localPath(cid, soon()))).equals(ours));
    const theirs = noise(3 * mib + 7, "theirs");
    const source = join(side.directory, "theirs");
    await writeFile(source, theirs);
    const stored = await store.addFile(source, soon());
    const path = join(side.directory, "fetched");
    await fetchFile(side.node, stored.cid, { path, ...soon() });
    assert.ok((await readFile(path)).equals(theirs));
  });
});
