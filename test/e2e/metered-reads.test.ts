import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Bond } from "../../server/domain/bond.ts";
import { type Bytes32, type Cid, repoIdOf } from "../../server/domain/ids.ts";
import type { Receipt } from "../../server/domain/receipt.ts";
import { blocksBelow } from "../../server/flows/pack-blocks.ts";
import { GitHome } from "../support/git.ts";
import { LoneFront } from "../support/lone-front.ts";
import { until } from "../support/processes.ts";
import { type RawResponse, flush, pkt, rawRequest } from "../support/raw-http.ts";
import { Wallet } from "../support/wallet.ts";

const blobBytes = 3_000_000;
const never = new AbortController().signal;

describe("a metered read", () => {
  let front: LoneFront;
  let home: GitHome;
  const owner = new Wallet();
  let tip: string;
  let path: { namespace: string; name: string };
  let packCid: Cid;
  let nextBond = 1n;
  before(async () => {
    front = await LoneFront.open();
    home = await GitHome.open();
    path = { namespace: owner.address, name: "metered" };
    const work = await home.init("work");
    tip = await home.commit(work, "one", { "random.bin": randomBytes(blobBytes), "a.txt": "a\n" });
    await git(owner.grant(front.service), ["push", "--quiet", front.remote(path), "main"], work);
    const [pack] = await front.ledger.packs(repoIdOf(path));
    assert.ok(pack);
    packCid = pack.cid;
  });
  after(async () => {
    await home?.[Symbol.asyncDispose]();
    await front?.[Symbol.asyncDispose]();
  });

  const signedIn = (grant: string): Record<string, string> => ({
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "http.extraHeader",
    GIT_CONFIG_VALUE_0: `Authorization: Bearer ${grant}`,
  });
  const git = async (
    grant: string,
    args: string[],
    cwd = home.path,
  ): Promise<{ code: number | null; stderr: string }> =>
    home.git(args, { cwd, env: signedIn(grant), mayFail: true });
  const clone = async (grant: string, name: string, ...options: string[]): ReturnType<typeof git> =>
    git(grant, ["clone", "--quiet", ...options, front.remote(path), home.at(name)]);

  /** A reader with a Bond of their own. */
  async function reader(change: Partial<Bond> = {}): Promise<{ wallet: Wallet; bond: Bond; grant: string }> {
    const wallet = new Wallet();
    const bond: Bond = {
      id: nextBond,
      owner: wallet.address,
      pool: `0x${"0".repeat(64)}` as Bytes32,
      deposit: 10_000_000n,
      thawing: 0n,
      lockEnd: 0n,
      epoch: 0,
      quotaCalls: 100n,
      quotaBytes: 1n << 30n,
      weight: 1n,
      signers: [],
      ...change,
    };
    nextBond += 1n;
    await front.ledger.putBond(bond);
    return {
      wallet,
      bond,
      grant: wallet.grant(front.service, { bond: bond.id, cap: 10_000_000n, scope: "*/*:read" }),
    };
  }

  const receiptsOf = (wallet: Wallet): Promise<Receipt[]> =>
    front.ledger.receipts({ account: wallet.address, limit: 100 });
  const usageOf = (bond: Bond): Promise<{ calls: bigint; bytes: bigint; unsettled: bigint }> =>
    front.ledger.usage(bond.id, null, BigInt(Math.floor(Date.now() / 1000)));

  it("is charged once, by the pack's bytes, and not for a fetch that brings nothing", async () => {
    const { wallet, bond, grant } = await reader();
    assert.equal((await clone(grant, "charged")).code, 0);
    const [receipt, ...more] = await receiptsOf(wallet);
    assert.ok(receipt && more.length === 0);
    assert.ok(receipt.bytesSent > BigInt(blobBytes) && receipt.complete && receipt.operation === "clone");
    const price = 10n + (1_000_000n * receipt.bytesSent + (1n << 30n) - 1n) / (1n << 30n);
    assert.equal(receipt.charged, price);
    assert.equal((await git(grant, ["fetch", "--quiet"], home.at("charged"))).code, 0);
    const { calls, bytes, unsettled } = await usageOf(bond);
    assert.deepEqual([calls, bytes, unsettled], [1n, receipt.bytesSent, price]);
  });

  it("of one's own repository is free", async () => {
    assert.equal((await clone(owner.grant(front.service), "own")).code, 0);
    const receipts = await receiptsOf(owner);
    assert.ok(receipts.length > 0 && receipts.every(({ charged }) => charged === 0n));
  });

  it("that its client breaks off is charged for what was sent, and the rest of the hold given back", async () => {
    const { wallet, bond, grant } = await reader();
    const body = Buffer.concat([
      pkt("command=fetch"),
      Buffer.from("0001"),
      pkt(`want ${tip}\n`),
      pkt("done\n"),
      flush,
    ]);
    const { hostname, port } = new URL(front.service.url);
    const socket = connect(Number(port), hostname);
    const head = [
      `POST /${path.namespace}/${path.name}.git/git-upload-pack HTTP/1.1`,
      "host: x",
      `authorization: Bearer ${grant}`,
      "git-protocol: version=2",
      "content-type: application/x-git-upload-pack-request",
      `content-length: ${body.length}`,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    socket.write(body);
    // NOTE: the server counts a chunk once the next one is asked for, so the client waits for a few.
    socket.on("data", () => undefined);
    await until("the pack to flow", () => socket.bytesRead > 300_000);
    socket.pause();
    socket.destroy();
    const [receipt] = await until("the receipt", async () => {
      const receipts = await receiptsOf(wallet);
      return receipts.length > 0 ? receipts : undefined;
    });
    assert.ok(receipt && receipt.bytesSent > 0n);
    assert.equal((await usageOf(bond)).bytes, receipt.bytesSent);
  });

  it("that runs past its quota is cut off with the reason", async () => {
    const { wallet, grant } = await reader({ quotaBytes: 1_000_000n });
    const refused = await clone(grant, "too-large");
    assert.match(refused.stderr, /remote error: the quota of bond \d+ is used up[\s\S]*gitd bond top-up/);
    const cut = await clone(grant, "cut", "--depth=1");
    assert.notEqual(cut.code, 0);
    assert.match(cut.stderr, /remote: the bond's quota or credit for this read is used up/);
    const [receipt] = await receiptsOf(wallet);
    assert.deepEqual([receipt?.bytesSent, receipt?.complete], [1_000_000n, false]);
    const again = await clone(grant, "again");
    assert.match(again.stderr, /remote: the quota of bond \d+ is used up[\s\S]*error: 402/);
  });

  it("is refused where git shows the reason when credit or the Grant's cap is used up", async () => {
    const poor = await reader({ deposit: 5n });
    assert.match(
      (await clone(poor.grant, "poor")).stderr,
      /remote: bond \d+ has 0\.000005 CODEX of free credit/,
    );
    const { wallet, bond } = await reader();
    const capped = wallet.grant(front.service, { bond: bond.id, cap: 5n, scope: "*/*:read" });
    assert.match((await clone(capped, "capped")).stderr, /remote: the Grant's cap of 0\.000005 CODEX/);
  });

  describe("through the gateway", () => {
    const get = (cid: string, grant?: string, headers: Record<string, string> = {}): Promise<RawResponse> =>
      rawRequest(front.service.url, {
        path: `/ipfs/${cid}`,
        headers: { ...(grant === undefined ? {} : { authorization: `Bearer ${grant}` }), ...headers },
      });

    it("gives every block of a pack, the file, and a CAR of it, for its price", async () => {
      const { wallet, grant } = await reader();
      const below = await blocksBelow(packCid, front.content, never);
      assert.ok(below.length >= 3);
      const leaves = await Promise.all(below.map((cid) => get(`${cid}?format=raw`, grant)));
      const file = await get(packCid, grant);
      assert.deepEqual(Buffer.concat(leaves.map(({ body }) => body)), file.body);
      assert.equal(file.body.subarray(0, 4).toString(), "PACK");
      const car = await get(packCid, grant, { accept: "application/vnd.ipld.car" });
      assert.match(car.headers["content-type"] ?? "", /^application\/vnd\.ipld\.car/);
      assert.ok(car.body.length > file.body.length);
      const receipts = await receiptsOf(wallet);
      assert.equal(receipts.length, below.length + 2);
      const ofFile = receipts.find(({ bytesSent }) => bytesSent === BigInt(file.body.length));
      assert.equal(ofFile?.contentSha256, createHash("sha256").update(file.body).digest("hex"));
    });

    it("answers HEAD and known ETags without charge", async () => {
      const { wallet, grant } = await reader();
      const known = await get(`${packCid}?format=raw`, grant, { "if-none-match": `"${packCid}.raw"` });
      assert.equal(known.status, 304);
      const authorization = `Bearer ${grant}`;
      const head = await rawRequest(front.service.url, {
        method: "HEAD",
        path: `/ipfs/${packCid}`,
        headers: { authorization },
      });
      assert.deepEqual([head.status, head.body.length], [200, 0]);
      assert.ok(Number(head.headers["content-length"]) > blobBytes);
      assert.deepEqual(await receiptsOf(wallet), []);
    });

    it("is refused to who may read no repository that holds the content", async () => {
      assert.equal((await get(packCid)).status, 401);
      assert.equal((await get(packCid, new Wallet().grant(front.service))).status, 402);
      await front.ledger.configure(repoIdOf(path), { policy: "private" });
      assert.equal((await get(packCid)).status, 404);
      assert.equal((await get(packCid, (await reader()).grant)).status, 404);
      assert.equal((await get(packCid, owner.grant(front.service))).status, 200);
      await front.ledger.configure(repoIdOf(path), { policy: "bonded" });
      assert.equal((await get("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")).status, 404);
    });
  });

  it("is counted in the metrics", async () => {
    const { text } = await rawRequest(front.service.url, { path: "/metrics" });
    assert.match(text, /gitd_pushes_total\{outcome="recorded"\} 1/);
    assert.match(text, /gitd_reads_total\{complete="true"\} [1-9]/);
    assert.match(text, /gitd_read_bytes_total [1-9]/);
    assert.match(text, /gitd_http_requests_total\{door="git-upload-pack",status="200"\} [1-9]/);
    assert.match(text, /gitd_upload_pack_running 0/);
  });

  it("left no error on the server's side", () => {
    assert.deepEqual(front.errors, []);
  });
}).timeout(60_000);
