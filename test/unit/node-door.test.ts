import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { GitdError } from "../../server/domain/errors.ts";
import { requestBody } from "../../server/http/body.ts";
import { forward } from "../../server/http/forward.ts";
import { openNodeDoor } from "../../server/http/node-door.ts";
import { refuse } from "../../server/http/respond.ts";

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function lengthOf(body: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of body) length += chunk.length;
  return length;
}

describe("the node process' door", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "gitd-door-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("answers what a front forwards to it, over a socket only its user may open", async () => {
    const socketPath = join(folder, "node.sock");
    await using _door = await openNodeDoor({
      socketPath,
      actions: {
        "POST /api/faucet": async (input) => ({ given: 10n, to: input["account"] }),
        "GET /api/fail": () => {
          throw new GitdError("conflict", "no", { fix: "yes" });
        },
      },
      onError: () => undefined,
    });
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
    const front = createServer((request, response) => {
      const parts = { socketPath, idleMs: 5000 };
      forward(parts, request, response, new AbortController().signal).catch((error: unknown) =>
        refuse(response, error, "api"),
      );
    });
    const url = await listening(front);
    const good = await fetch(`${url}/api/faucet`, { method: "POST", body: '{"account":"0x1"}' });
    assert.deepEqual(await good.json(), { given: "10", to: "0x1" });
    assert.equal((await fetch(`${url}/api/fail`)).status, 409);
    assert.equal((await fetch(`${url}/api/none`)).status, 404);
    assert.equal((await fetch(`${url}/api/faucet`, { method: "POST", body: "[1" })).status, 400);
    assert.equal(
      (await fetch(`${url}/api/faucet`, { method: "POST", body: "x".repeat(70_000) })).status,
      413,
    );
    await closed(front);
  });

  it("is said to be unavailable when nobody listens", async () => {
    const front = createServer((request, response) => {
      const parts = { socketPath: join(folder, "none.sock"), idleMs: 5000 };
      forward(parts, request, response, new AbortController().signal).catch((error: unknown) =>
        refuse(response, error, "api"),
      );
    });
    const answer = await fetch(`${await listening(front)}/api/faucet`, { method: "POST", body: "{}" });
    assert.equal(answer.status, 503);
    await closed(front);
  });
});

describe("a request body", () => {
  let server: Server;
  let url: string;
  before(async () => {
    server = createServer((request, response) => {
      lengthOf(requestBody(request, response, { inflatedBytesMax: 1_000_000n })).then(
        (length) => response.end(String(length)),
        (error: unknown) => refuse(response, error, "api"),
      );
    });
    url = await listening(server);
  });
  after(() => closed(server));

  const post = async (
    body: Uint8Array<ArrayBuffer>,
    encoding: string,
  ): Promise<{ status: number; text: string }> => {
    const answer = await fetch(url, { method: "POST", body, headers: { "content-encoding": encoding } });
    return { status: answer.status, text: await answer.text() };
  };

  it("arrives inflated", async () => {
    assert.deepEqual(await post(new Uint8Array(gzipSync(Buffer.alloc(999_999))), "gzip"), {
      status: 200,
      text: "999999",
    });
    assert.equal((await post(new Uint8Array(10), "identity")).text, "10");
  });

  it("is refused with a readable answer when it is a bomb, broken, cut short or of unknown coding", async () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(300_000_000)));
    const bombed = await post(bomb, "gzip");
    assert.deepEqual([bombed.status, /larger than/.test(bombed.text)], [413, true]);
    assert.equal((await post(new Uint8Array(5000).fill(7), "gzip")).status, 400);
    const short = new Uint8Array(gzipSync(Buffer.alloc(5000, "x"))).slice(0, 20);
    assert.equal((await post(short, "gzip")).status, 400);
    assert.equal((await post(new Uint8Array(5), "br")).status, 400);
  }).timeout(20_000);
});
