import assert from "node:assert/strict";
import { isGitdError } from "../../server/domain/errors.ts";
import { KeyedTurns, Turns } from "../../server/flows/turns.ts";

const never = new AbortController().signal;

describe("turns", () => {
  it("are given first come, first served, at most so many at once", async () => {
    const turns = new Turns({ runningMax: 2, waitingMax: 10 });
    const order: number[] = [];
    const first = await turns.take(never);
    const second = await turns.take(never);
    const waiting = [1, 2, 3].map(async (n) => {
      using _turn = await turns.take(never);
      order.push(n);
    });
    assert.deepEqual([turns.running, turns.waiting], [2, 3]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    await Promise.all(waiting);
    assert.deepEqual(order, [1, 2, 3]);
    assert.deepEqual([turns.running, turns.waiting], [0, 0]);
  });

  it("are refused when the line is full, and left by who goes away", async () => {
    const turns = new Turns({ runningMax: 1, waitingMax: 1 });
    const held = await turns.take(never);
    const leaver = new AbortController();
    const waiting = turns.take(leaver.signal);
    await assert.rejects(turns.take(never), (error) => isGitdError(error, "rate-limited"));
    leaver.abort(new Error("left"));
    await assert.rejects(waiting, /left/);
    held[Symbol.dispose]();
    assert.deepEqual([turns.running, turns.waiting], [0, 0]);
  });

  it("of different keys do not wait for each other", async () => {
    const keyed = new KeyedTurns(5);
    using _a = await keyed.take("a", never);
    using _b = await keyed.take("b", never);
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const again = (async () => {
      using _turn = await keyed.take("a", never);
      enter();
    })();
    _a[Symbol.dispose]();
    await entered;
    await again;
  });
});
