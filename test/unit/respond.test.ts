import assert from "node:assert/strict";
import { type ErrorCode, GitdError } from "../../server/domain/errors.ts";
import { type Answer, type Door, answerTo } from "../../server/http/respond.ts";

const doors: readonly Door[] = ["git-advertise", "git-upload-pack", "git-receive-pack", "api", "gateway"];
const refusal = (code: ErrorCode, retryAfterSeconds?: number): GitdError =>
  new GitdError(code, "what happened", {
    fix: "what to do",
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
const text = (answer: Answer): string => Buffer.from(answer.body).toString();

describe("the response to a refusal", () => {
  it("is text/plain with the status where git asks for refs, so that git shows it", () => {
    for (const code of ["bond-required", "quota-exhausted", "credit-exhausted", "cap-exceeded"] as const) {
      const answer = answerTo(refusal(code), "git-advertise");
      assert.equal(answer.status, 402);
      assert.match(answer.headers["content-type"] ?? "", /^text\/plain/);
      assert.equal(text(answer), "what happened\nwhat to do\n");
    }
    assert.equal(answerTo(refusal("forbidden"), "git-advertise").status, 403);
    assert.equal(answerTo(refusal("repo-not-found"), "git-advertise").status, 404);
  });

  it("is an ERR packet with status 200 on a fetch's POST, where git drops the body of an error", () => {
    const answer = answerTo(refusal("quota-exhausted"), "git-upload-pack");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/x-git-upload-pack-result");
    assert.match(text(answer), /^[0-9a-f]{4}ERR what happened\nwhat to do/);
    const body = Buffer.from(answer.body);
    assert.equal(Number.parseInt(body.subarray(0, 4).toString(), 16), body.length);
  });

  it("is 401 with a challenge at every door for unusable credentials, and for nothing else", () => {
    for (const door of doors) {
      const answer = answerTo(refusal("unauthenticated"), door);
      assert.equal(answer.status, 401);
      assert.match(answer.headers["www-authenticate"] ?? "", /^Basic realm="Gitd"/);
    }
    for (const code of ["quota-exhausted", "forbidden", "rate-limited", "internal"] as const) {
      for (const door of doors) assert.notEqual(answerTo(refusal(code), door).status, 401);
    }
  });

  it("says when to come back, within what clients wait for", () => {
    assert.equal(answerTo(refusal("rate-limited", 12.2), "api").headers["retry-after"], "13");
    assert.equal(answerTo(refusal("rate-limited", 5000), "api").headers["retry-after"], "300");
    assert.equal(answerTo(refusal("unavailable"), "api").status, 503);
    assert.equal(answerTo(refusal("quota-exhausted"), "api").headers["retry-after"], undefined);
  });

  it("is problem+json at the API", () => {
    const answer = answerTo(refusal("conflict"), "api");
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.deepEqual(JSON.parse(text(answer)), {
      type: "about:blank",
      title: "conflict",
      status: 409,
      code: "conflict",
      detail: "what happened",
      fix: "what to do",
    });
  });

  it("tells nothing of the inside for errors that are not refusals", () => {
    for (const door of doors) {
      const answer = answerTo(new Error("SELECT secret FROM /home"), door);
      assert.doesNotMatch(text(answer), /secret|home/);
      assert.equal(answer.status, door === "git-upload-pack" ? 200 : 500);
    }
  });

  it("is never cached", () => {
    for (const door of doors)
      assert.match(answerTo(refusal("not-found"), door).headers["cache-control"] ?? "", /no-cache/);
  });
});
