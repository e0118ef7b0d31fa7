import assert from "node:assert/strict";
import { describeConfig, isLoopback, loadConfig } from "../../server/config.ts";
import { isGitdError } from "../../server/domain/errors.ts";

describe("the configuration", () => {
  it("has safe defaults", () => {
    const config = loadConfig({});
    assert.equal(config.host, "127.0.0.1");
    assert.equal(config.port, 8417);
    assert.equal(config.chain.kind, "embedded");
    assert.ok(config.origins.includes("http://127.0.0.1:8417"));
  });

  it("names the variable at fault", () => {
    const faults: [string, Record<string, string>][] = [
      ["GITD_PORT", { GITD_PORT: "99999" }],
      ["GITD_PORT", { GITD_PORT: "80; rm" }],
      ["GITD_DATABASE_URL", { GITD_DATABASE_URL: "mysql://x" }],
      ["GITD_REGISTRY", { GITD_CHAIN_RPC: "http://127.0.0.1:8545" }],
      ["GITD_ORIGIN", { GITD_ORIGIN: "ftp://x" }],
      ["GITD_LOG_LEVEL", { GITD_LOG_LEVEL: "loud" }],
    ];
    for (const [name, environment] of faults) {
      assert.throws(
        () => loadConfig(environment),
        (error) => isGitdError(error, "invalid") && error.message.startsWith(name),
        name,
      );
    }
  });

  it("is shown without passwords", () => {
    const shown = describeConfig({ GITD_DATABASE_URL: "postgres://gitd:secret@127.0.0.1/gitd" });
    const database = shown.find((variable) => variable.name === "GITD_DATABASE_URL");
    assert.equal(database?.value, "postgres://gitd:***@127.0.0.1/gitd");
    assert.ok(!JSON.stringify(shown).includes("secret"));
  });

  it("tells loopback hosts from open ones", () => {
    assert.ok(["127.0.0.1", "127.9.9.9", "::1", "localhost"].every(isLoopback));
    assert.ok(!["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org"].some(isLoopback));
  });
});
