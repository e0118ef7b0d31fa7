import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { Player, keptFiles, serversGit } from "../support/player.ts";
import { until } from "../support/processes.ts";
import {
  type RawRequest,
  flush,
  isRefusal,
  pkt,
  pushCommands,
  rawBytes,
  rawRequest,
} from "../support/raw-http.ts";
import { type World, startWorld } from "../support/world.ts";

const zero = "0".repeat(40);
const bombBytes = 512 * 1024 * 1024;
const residentGrowthMax = 150 * 1024 * 1024;

describe("hostile HTTP", () => {
  let world: World;
  let player: Player;
  let tip: string;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
    const work = await player.home.init("work");
    tip = await player.home.commit(work, "base", { "a.txt": "a\n" });
    await player.git(["push", "--quiet", player.remote("target"), "main"], { cwd: work });
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });
  afterEach(async () => {
    assert.equal((await rawRequest(world.url, { path: "/healthz" })).status, 200);
    assert.deepEqual(await player.remoteRefs("target"), [`${tip} refs/heads/main`]);
    await until("git to end", async () => (await serversGit(world)).length === 0);
  });

  describe("paths", () => {
    const secrets = /root:|BEGIN|\[core\]|PRIVATE/;
    const paths = [
      "/../../../../etc/passwd",
      "/..%2f..%2f..%2fetc%2fpasswd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "/a/..%5c..%5cx.git/info/refs?service=git-upload-pack",
      "/a/b.git/../../keys/x/info/refs?service=git-upload-pack",
      "/a/%2e%2e.git/info/refs?service=git-upload-pack",
      "/a/b%00.git/info/refs?service=git-upload-pack",
      "/a/b%0a.git/info/refs?service=git-upload-pack",
      "/a/b%zz.git/info/refs?service=git-upload-pack",
      "/a/%ff%fe.git/info/refs?service=git-upload-pack",
      "/a/-upload-pack=x.git/info/refs?service=git-upload-pack",
      "/a/b.git/info/refs?service=git-shell",
      "/a/b.git/info/refs?service=git-upload-pack%00",
      "/a/b.git/info/refs?service[]=git-upload-pack",
      "/a/b.git/objects/info/packs",
      "/a/b.git/config",
      "//etc/passwd",
      "/ipfs/../../keys",
      "/ipfs/not-a-cid",
      `/ipfs/${"b".repeat(5000)}`,
      `/${"a/".repeat(2000)}`,
      "/api/v1/repositories/..%2f..%2f/x",
    ];
    for (const path of paths) {
      it(`${path.slice(0, 70)} is refused as the client's fault`, async () => {
        const response = await player.request({ path });
        assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${response.text}`);
        assert.doesNotMatch(response.text, secrets);
        assert.doesNotMatch(response.text, /node_modules|\.ts:\d/);
      });
    }
  });

  describe("pkt-lines at git-receive-pack", () => {
    const command = `${zero} ${"1".repeat(40)} refs/heads/x\0 report-status\n`;
    const bodies: [what: string, body: Buffer][] = [
      ["garbage", Buffer.from("this is not git at all, not in the least")],
      ["a length that is no number", Buffer.from("zzzz")],
      ["a length below four", Buffer.from("0003")],
      ["a length above the maximum", Buffer.concat([Buffer.from("fff5"), Buffer.alloc(70_000, "x")])],
      ["a line that ends early", Buffer.from("00a0short")],
      ["a delimiter where none may be", Buffer.from("0001")],
      ["commands without an end", pkt(command)],
      ["a command without a ref", Buffer.concat([pkt(`${zero} ${zero}\n`), flush])],
      ["oids that are no oids", Buffer.concat([pkt("xyz abc refs/heads/x\0\n"), flush])],
      [
        "SHA-256 oids in a SHA-1 repository",
        pushCommands([["0".repeat(64), "1".repeat(64), "refs/heads/x"]]),
      ],
      [
        "another object format",
        pushCommands([[zero, "1".repeat(40), "refs/heads/x"]], "object-format=sha256"),
      ],
      [
        "one ref twice",
        pushCommands([
          [zero, tipLike(1), "refs/heads/x"],
          [zero, tipLike(2), "refs/heads/x"],
        ]),
      ],
      ["a NUL in a ref", Buffer.concat([pkt(command), pkt(`${zero} ${tipLike(3)} refs/heads/\0y`), flush])],
      [
        "commands over any bound",
        Buffer.concat(
          Array.from({ length: 120_000 }, (_, at) =>
            pkt(`${zero} ${tipLike(4)} refs/heads/${at}${at === 0 ? "\0" : ""}`),
          ),
        ),
      ],
    ];
    for (const [what, body] of bodies) {
      it(`such as ${what} are refused and leave nothing`, async () => {
        const files = await keptFiles(world);
        const response = await player.request(post("git-receive-pack", body));
        const refused = response.status === 200 && isRefusal(response.text);
        assert.ok(
          refused || (response.status >= 400 && response.status < 500),
          `${response.status} ${response.text}`,
        );
        assert.deepEqual(await keptFiles(world), files);
      });
    }
  });

  describe("pkt-lines at git-upload-pack", () => {
    const v2 = { "git-protocol": "version=2" };
    const bodies: [what: string, body: Buffer, headers?: Record<string, string>][] = [
      ["garbage", Buffer.from("no pkt-line here")],
      ["garbage in version 2", Buffer.from("no pkt-line here"), v2],
      ["an unknown command", Buffer.concat([pkt("command=dance\n"), flush]), v2],
      [
        "a want that is no oid",
        Buffer.concat([pkt("command=fetch\n"), Buffer.from("0001"), pkt("want xyz\n"), pkt("done\n"), flush]),
        v2,
      ],
      [
        "a want of what does not exist",
        Buffer.concat([
          pkt("command=fetch\n"),
          Buffer.from("0001"),
          pkt(`want ${"3".repeat(40)}\n`),
          pkt("done\n"),
          flush,
        ]),
        v2,
      ],
      [
        "a filter that is none",
        Buffer.concat([
          pkt("command=fetch\n"),
          Buffer.from("0001"),
          pkt("filter exec:id\n"),
          pkt(`want ${"3".repeat(40)}\n`),
          flush,
        ]),
        v2,
      ],
      [
        "a version that is none",
        Buffer.concat([pkt(`want ${"3".repeat(40)}\n`), flush, pkt("done\n")]),
        { "git-protocol": "version=9:$(id)" },
      ],
    ];
    for (const [what, body, headers] of bodies) {
      it(`such as ${what} are refused`, async () => {
        const response = await player.request(post("git-upload-pack", body, headers));
        const refused = response.status === 200 && /ERR /.test(response.text);
        assert.ok(
          refused || (response.status >= 400 && response.status < 500),
          `${response.status} ${response.text}`,
        );
      });
    }
  });

  it("gzip bombs are cut off before they fill the memory", async () => {
    const { fronts } = await world.pids();
    const before = await residentBytes(fronts[0] ?? 0);
    const bomb = gzipSync(Buffer.alloc(bombBytes), { level: 9 });
    for (const service of ["git-upload-pack", "git-receive-pack"]) {
      const headers = { "content-encoding": "gzip" };
      const response = await player.request(post(service, bomb, headers)).catch((error: unknown) => error);
      if (response instanceof Error) assert.match(response.message, /ECONNRESET|EPIPE|socket hang up/);
      else assert.match(JSON.stringify(response), /"status":(4\d\d|200)/);
    }
    const grown = (await residentBytes(fronts[0] ?? 0)) - before;
    assert.ok(grown < residentGrowthMax, `grew by ${grown} bytes`);
  });

  it("a body that says gzip and is none is refused", async () => {
    const response = await player.request(
      post("git-upload-pack", Buffer.from("plain"), { "content-encoding": "gzip" }),
    );
    assert.ok(response.status === 400 || /ERR /.test(response.text), `${response.status} ${response.text}`);
  });

  it("an unknown content encoding is refused", async () => {
    const response = await player.request(post("git-upload-pack", flush, { "content-encoding": "rot13" }));
    assert.ok([400, 415].includes(response.status) || /ERR /.test(response.text), `${response.status}`);
  });

  it("JSON that is broken, deep, huge or of another type is the client's fault", async () => {
    const bodies = [
      "{",
      "[]",
      "null",
      '{"a":'.repeat(10_000),
      `"${"x".repeat(2_000_000)}"`,
      '{"__proto__":{"a":1}}',
    ];
    for (const body of bodies) {
      const response = await player.request({
        method: "POST",
        path: "/api/v1/repositories",
        headers: { "content-type": "application/json" },
        body: Buffer.from(body),
      });
      assert.ok(response.status >= 400 && response.status < 500, `${body.slice(0, 20)}: ${response.status}`);
      assert.doesNotMatch(response.text, /node_modules|\.ts:\d/);
    }
  });

  it("what is not HTTP gets no more than a 400", async () => {
    for (const bytes of [
      "\x16\x03\x01\x02\x00\x01",
      "GET / HTTP/9.9\r\n\r\n",
      "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
      "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    ]) {
      const answer = await rawBytes(world.url, bytes);
      assert.match(answer, /^$|^HTTP\/1\.1 (400|404|405|505)/);
    }
  });

  it("headers over any bound are refused", async () => {
    // NOTE: the server closes without reading them all, so its answer may be lost to a reset connection.
    const request = `GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(100_000)}\r\n\r\n`;
    const answer = await rawBytes(world.url, request).catch((error: Error) => error.message);
    assert.match(answer, /^HTTP\/1\.1 4(00|31)|ECONNRESET|EPIPE/);
  });

  function post(service: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): RawRequest {
    return {
      method: "POST",
      path: `/${player.path("target")}.git/${service}`,
      headers: { "content-type": `application/x-${service}-request`, ...headers },
      body,
    };
  }
});

function tipLike(digit: number): string {
  return String(digit).repeat(40);
}

async function residentBytes(pid: number): Promise<number> {
  if (process.platform !== "linux") return 0;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
