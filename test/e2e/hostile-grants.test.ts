import assert from "node:assert/strict";
import { decodeGrant, encodeGrant } from "../../server/domain/grant.ts";
import { parseAddress } from "../../server/domain/ids.ts";
import { Player } from "../support/player.ts";
import { type RawResponse, rawRequest } from "../support/raw-http.ts";
import { Wallet } from "../support/wallet.ts";
import { type World, startWorld } from "../support/world.ts";

describe("a Grant that is no good", () => {
  let world: World;
  let player: Player;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
    const work = await player.home.init("work");
    await player.home.commit(work, "base", { "a.txt": "a\n" });
    await player.git(["push", "--quiet", player.remote("target"), "main"], { cwd: work });
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  const cases: [what: string, make: () => Promise<string>, why: RegExp][] = [
    ["rubbish", async () => "gitd1.rubbish.rubbish", /not a Grant/],
    ["a password", async () => "hunter2", /not a Grant/],
    ["oversized", async () => `gitd1.${"a".repeat(9000)}.${"0".repeat(130)}`, /Authorization|not a Grant/],
    ["for another host", () => player.grant({ audience: "http://example.org" }), /example\.org/],
    [
      "for another chain",
      async () => player.wallet.grant({ ...(await player.service()), chainId: 1n }),
      /not signed by its account/,
    ],
    [
      "for another contract",
      async () => {
        const accessBond = parseAddress(`0x${"11".repeat(20)}`);
        return player.wallet.grant({ ...(await player.service()), accessBond });
      },
      /not signed by its account/,
    ],
    ["for another service", () => player.grant({ service: 2 }), /another service/],
    ["expired", () => player.grant({ deadline: BigInt(Math.floor(Date.now() / 1000)) - 1n }), /expired/],
    [
      "signed by somebody else",
      async () => new Wallet().grant(await player.service(), { account: player.wallet.address }),
      /not signed by its account/,
    ],
    [
      "changed after it was signed",
      async () => {
        const signed = decodeGrant(await player.grant({ scope: "*/*:read" }));
        return encodeGrant({ ...signed, grant: { ...signed.grant, scope: "*/*:admin" } });
      },
      /not signed by its account|malformed/,
    ],
    ["of a Bond that does not exist", () => player.grant({ bond: 999_999n }), /not on chain/],
  ];
  for (const [what, make, why] of cases) {
    it(`since it is ${what} is answered with 401 and the reason`, async () => {
      const response = await advertise(await make());
      assert.equal(response.status, 401);
      assert.match(response.headers["www-authenticate"] ?? "", /^Basic /);
      assert.match(response.text, why);
    });
  }

  it("since its scope is too small may not push, and says which scope would do", async () => {
    const grant = await player.grant({ scope: `${player.path("target")}:read` });
    const response = await advertise(grant, "git-receive-pack");
    assert.equal(response.status, 403);
    assert.match(response.text, /scope/);
  });

  it("since it is revoked is answered with 401, also in a request that follows a good one", async () => {
    const grant = await player.grant();
    assert.equal((await advertise(grant)).status, 200);
    const revoked = await rawRequest(world.url, {
      method: "POST",
      path: "/api/v1/grants/revoke",
      headers: { authorization: `Bearer ${grant}`, "content-type": "application/json" },
      body: Buffer.from(JSON.stringify({ grant })),
    });
    assert.ok(revoked.status < 300, `${revoked.status} ${revoked.text}`);
    const response = await advertise(grant);
    assert.equal(response.status, 401);
    assert.match(response.text, /revoked/);
  });

  it("since it is a stranger's without a Bond is answered with 402 and how to open one", async () => {
    const response = await advertise(new Wallet().grant(await player.service()));
    assert.equal(response.status, 402);
    assert.match(response.text, /gitd bond open/);
  });

  it("never stands in the server's log", async () => {
    const secret = (await player.grant()).split(".")[2] ?? "";
    await advertise(`gitd1.e30.${secret}`);
    assert.ok(!world.output.includes(secret));
  });

  function advertise(grant: string, service = "git-upload-pack"): Promise<RawResponse> {
    const path = `/${player.path("target")}.git/info/refs?service=${service}`;
    return rawRequest(world.url, { path, headers: { authorization: `Bearer ${grant}` } });
  }
});
