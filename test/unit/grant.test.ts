import assert from "node:assert/strict";
import fc from "fast-check";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Grant, decodeGrant, encodeGrant, parseScope, scopeAllows } from "../../server/domain/grant.ts";
import type { Address, Bytes32 } from "../../server/domain/ids.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });

const grants: fc.Arbitrary<Grant> = fc.record(
  {
    account: hex(40).map((text) => `0x${text}` as Address),
    bond: fc.bigInt(0n, (1n << 64n) - 1n),
    service: fc.nat(0xffff),
    audience: fc.webUrl(),
    scope: fc.constantFrom("*", "acme/tool:read", "acme/*:write"),
    cap: fc.bigInt(0n, (1n << 100n) - 1n),
    deadline: fc.bigInt(0n, (1n << 40n) - 1n),
    epoch: fc.nat(0xffff),
    nonce: hex(64).map((text) => `0x${text}` as Bytes32),
  },
  { noNullPrototype: true },
);

describe("a Grant on the wire", () => {
  it("decodes to what was encoded", () => {
    fc.assert(
      fc.property(grants, hex(130), (grant, signature) => {
        const signed = { grant, signature: `0x${signature}` };
        assert.deepEqual(decodeGrant(encodeGrant(signed)), signed);
      }),
    );
  });

  it("is refused as unauthenticated when it is anything else", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `gitd1.${text}`),
          fc.string().map((text) => `gitd1.${text}.${"0".repeat(130)}`),
        ),
        (text) => {
          assert.throws(
            () => decodeGrant(text),
            (error) => isGitdError(error, "unauthenticated"),
          );
        },
      ),
    );
  });
});

describe("a Grant's scope", () => {
  const tool = { namespace: "acme", name: "tool" };

  it("reaches what it names, at its level and below", () => {
    assert.ok(scopeAllows("acme/tool:write", tool, "read"));
    assert.ok(scopeAllows("acme/tool:write", tool, "write"));
    assert.ok(!scopeAllows("acme/tool:write", tool, "admin"));
    assert.ok(!scopeAllows("acme/tool:write", { namespace: "acme", name: "other" }, "read"));
  });

  it("knows wildcards for either part, and '*' as read and write everywhere", () => {
    assert.ok(scopeAllows("acme/*:read", tool, "read"));
    assert.ok(!scopeAllows("other/*:read", tool, "read"));
    assert.ok(scopeAllows("*/tool:read", tool, "read"));
    assert.ok(scopeAllows("*", tool, "write"));
    assert.ok(!scopeAllows("*", tool, "admin"));
  });

  it("is one of several entries", () => {
    assert.ok(scopeAllows("other/x:admin acme/tool:read", tool, "read"));
  });

  it("is refused when its grammar is broken", () => {
    for (const text of ["", "acme", "acme/tool", "acme/tool:owner", "/tool:read", "a/b/c:read"]) {
      assert.throws(
        () => parseScope(text),
        (error) => isGitdError(error, "invalid"),
        text,
      );
    }
    assert.equal(parseScope(" ACME/Tool:read,  b/c:write "), "acme/tool:read b/c:write");
  });
});
