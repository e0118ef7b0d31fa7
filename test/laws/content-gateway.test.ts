import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode, prepare } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import { CID } from "multiformats/cid";
import { cidOf, codecs, sha256 } from "../../server/content/block-check.ts";
import { fetchFile } from "../../server/content/fetch-file.ts";
import { type FlatStore, openFlatStore } from "../../server/content/flat-store.ts";
import { GatewaySource } from "../../server/content/gateway.ts";
import { openPeerSource } from "../../server/content/peers.ts";
import { readDag } from "../../server/content/read-dag.ts";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Cid, parseCid } from "../../server/domain/ids.ts";
import { absentCid, collect, fails, mib, noise, soon } from "./content.laws.ts";

interface Site extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

async function openSite(answer: Answer): Promise<Site> {
  const requests: Site["requests"] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? "", authorization: request.headers.authorization });
    void answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("blocks from a gateway", function () {
  this.timeout(60_000);
  let directory: string;
  let store: FlatStore;
  let gateway: Site;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "gitd-gateway-"));
    store = await openFlatStore({ directory });
    gateway = await openSite(async (request, response) => {
      const cid = /^\/ipfs\/(b[a-z2-7]+)\?format=raw$/.exec(request.url ?? "")?.[1];
      try {
        response.end(await store.getBlock(parseCid(cid), soon()));
      } catch (error) {
        response.writeHead(isGitdError(error, "not-found") ? 404 : 500).end();
      }
    });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  async function add(bytes: Uint8Array): Promise<Cid> {
    const source = join(directory, "source");
    await writeFile(source, bytes);
    const { cid } = await store.addFile(source, soon());
    await rm(source);
    return cid;
  }

  it("make up a file, also one larger than its window", async () => {
    const bytes = noise(20 * mib + 11);
    const cid = await add(bytes);
    const path = join(directory, "fetched");
    const source = new GatewaySource({ url: `${gateway.url}/`, authorization: "Bearer grant" });
    assert.equal(await fetchFile(source, cid, { path, ...soon() }), BigInt(bytes.length));
    assert.ok((await readFile(path)).equals(bytes));
    assert.equal(gateway.requests.at(-1)?.authorization, "Bearer grant");
    await rm(path);
  });

  it("make up ranges of a file", async () => {
    const bytes = noise(3 * mib + 7, "ranges");
    const cid = await add(bytes);
    const before = gateway.requests.length;
    const range = { start: BigInt(mib - 5), end: BigInt(mib + 5) };
    const read = await collect(readDag(new GatewaySource(gateway), cid, { ...soon(), range }));
    assert.ok(read.equals(bytes.subarray(mib - 5, mib + 5)));
    assert.equal(gateway.requests.length - before, 3);
  });

  it("come from the first of several that has them", async () => {
    const cid = await add(noise(10));
    await using empty = await openSite((_request, response) => void response.writeHead(404).end());
    await using source = await openPeerSource({
      peers: [],
      gateways: [{ url: empty.url, authorization: "Bearer theirs" }, { url: gateway.url }],
      directory,
      ...soon(),
    });
    assert.equal((await source.getBlock(cid, soon())).length, 10);
    assert.equal(empty.requests.length, 1);
    assert.equal(gateway.requests.at(-1)?.authorization, undefined);
    await assert.rejects(source.getBlock(absentCid, soon()), fails("not-found"));
  });

  it("are refused when they are not what was asked for", async () => {
    await using liar = await openSite((_request, response) => void response.end("something else"));
    await assert.rejects(new GatewaySource(liar).getBlock(absentCid, soon()), fails("content-mismatch"));
    const path = join(directory, "lied");
    await assert.rejects(
      fetchFile(new GatewaySource(liar), absentCid, { path, ...soon() }),
      fails("content-mismatch"),
    );
    assert.equal((await readdir(directory)).includes("lied"), false);
  });

  it("are refused past 2 MiB, without reading on", async () => {
    await using endless = await openSite((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(mib)));
      };
      response.on("drain", more);
      more();
    });
    await assert.rejects(new GatewaySource(endless).getBlock(absentCid, soon()), fails("too-large"));
  });

  for (const [status, code] of [
    [401, "unauthenticated"],
    [402, "bond-required"],
    [403, "forbidden"],
    [404, "not-found"],
    [429, "rate-limited"],
    [500, "unavailable"],
  ] as const) {
    it(`say ${code} for the status ${status}`, async () => {
      await using site = await openSite(
        (_request, response) => void response.writeHead(status, { "retry-after": "7" }).end("why not"),
      );
      await assert.rejects(new GatewaySource(site).getBlock(absentCid, soon()), fails(code));
    });
  }

  it("say unavailable when nobody answers", async () => {
    const source = new GatewaySource({ url: "http://127.0.0.1:9" });
    await assert.rejects(source.getBlock(absentCid, soon()), fails("unavailable"));
  });

  it("do not show the credential to another site", async () => {
    const cid = await add(noise(10));
    await using away = await openSite((request, response) => {
      response.writeHead(302, { location: `${gateway.url}${request.url}` }).end();
    });
    const source = new GatewaySource({ url: away.url, authorization: "Bearer secret" });
    assert.equal((await source.getBlock(cid, soon())).length, 10);
    assert.equal(away.requests.at(-1)?.authorization, "Bearer secret");
    assert.equal(gateway.requests.at(-1)?.authorization, undefined);
  });
});

describe("a file's tree from a stranger", function () {
  this.timeout(60_000);
  const blocks = new Map<Cid, Uint8Array>();
  const source = {
    getBlock: async (cid: Cid): Promise<Uint8Array> => blocks.get(cid) ?? new Uint8Array(),
  };

  function leaf(bytes: Uint8Array): Cid {
    const cid = cidOf(codecs.raw, sha256(bytes));
    blocks.set(cid, bytes);
    return cid;
  }

  function node(children: readonly (readonly [Cid, bigint])[]): Cid {
    const file = new UnixFS({ type: "file", blockSizes: children.map(([, size]) => size) });
    const Links = children.map(([cid]) => ({ Name: "", Tsize: 1, Hash: CID.parse(cid) }));
    const bytes = encode(prepare({ Data: file.marshal(), Links }));
    const cid = cidOf(codecs.dagPb, sha256(bytes));
    blocks.set(cid, bytes);
    return cid;
  }

  it("is refused when a leaf is not as long as stated", async () => {
    const root = node([[leaf(noise(10)), 11n]]);
    await assert.rejects(collect(readDag(source, root, soon())), fails("content-mismatch"));
  });

  it("is refused when a node holds another size than stated", async () => {
    const root = node([[node([[leaf(noise(10)), 10n]]), 9n]]);
    await assert.rejects(collect(readDag(source, root, soon())), fails("content-mismatch"));
  });

  it("is refused when it is endlessly deep", async () => {
    let root = leaf(noise(10));
    for (let level = 0; level < 40; level += 1) root = node([[root, 10n]]);
    await assert.rejects(collect(readDag(source, root, soon())), fails("content-mismatch"));
  });

  it("is refused before anything is written when it states more than allowed", async () => {
    let root = leaf(noise(mib));
    let size = BigInt(mib);
    for (let level = 0; level < 3; level += 1) {
      root = node(Array.from({ length: 1024 }, () => [root, size] as const));
      size *= 1024n;
    }
    const path = join(tmpdir(), "gitd-never-written");
    await assert.rejects(fetchFile(source, root, { path, ...soon() }), fails("too-large"));
  });

  it("is refused when it is a folder", async () => {
    const bytes = encode(prepare({ Data: new UnixFS({ type: "directory" }).marshal(), Links: [] }));
    const cid = cidOf(codecs.dagPb, sha256(bytes));
    blocks.set(cid, bytes);
    await assert.rejects(collect(readDag(source, cid, soon())), fails("content-mismatch"));
  });
});
