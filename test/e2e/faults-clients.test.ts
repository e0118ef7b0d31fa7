import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type Socket, connect } from "node:net";
import { packOf } from "../support/packs.ts";
import { Player, keptFiles, serversGit } from "../support/player.ts";
import { startProgram, until } from "../support/processes.ts";
import { flush, pkt, pushCommands } from "../support/raw-http.ts";
import { type World, startWorld } from "../support/world.ts";

/** More than all socket buffers on the way hold, so that the server is still sending when its client goes away. */
const blobBytes = 24 * 1024 * 1024;
const goneMs = 1000;

describe("a client that is killed", () => {
  let world: World;
  let player: Player;
  let work: string;
  let tip: string;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
    work = await player.home.init("big");
    tip = await player.home.commit(work, "big", { "random.bin": randomBytes(blobBytes), "a.txt": "a\n" });
    await player.git(["push", "--quiet", player.remote("big"), "main"], { cwd: work });
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("mid-clone leaves no git process after a second", async () => {
    const body = Buffer.concat([
      pkt("command=fetch"),
      Buffer.from("0001"),
      pkt("ofs-delta"),
      pkt(`want ${tip}\n`),
      pkt("done\n"),
      flush,
    ]);
    const socket = await open(world.url);
    const headers = { "git-protocol": "version=2", "content-length": String(body.length) };
    socket.write(await head("git-upload-pack", headers));
    socket.write(body);
    await until("the pack to flow", () => socket.bytesRead > 64 * 1024);
    socket.pause();
    socket.destroy();
    await until("git to end", async () => (await serversGit(world)).length === 0, goneMs);
    await assertServes();
  });

  it("mid-push leaves no git process after a second, and no quarantine", async () => {
    const before = await keptFiles(world);
    const next = await player.home.commit(work, "more", { "more.bin": randomBytes(4 * 1024 * 1024) });
    const pack = await packOf(player.home, work, next, [tip]);
    const commands = pushCommands([[tip, next, "refs/heads/main"]]);
    const socket = await open(world.url);
    const length = { "content-length": String(commands.length + pack.length) };
    socket.write(await head("git-receive-pack", length));
    socket.write(Buffer.concat([commands, pack.subarray(0, pack.length / 2)]));
    await until("git to read the pack", async () => (await serversGit(world)).length > 0);
    socket.destroy();
    await until("git to end", async () => (await serversGit(world)).length === 0, goneMs);
    await until(
      "the quarantine to be cleared",
      async () => (await keptFiles(world)).join() === before.join(),
    );
    assert.deepEqual(await player.remoteRefs("big"), [`${tip} refs/heads/main`]);
    await assertServes();
  });

  it("as a real git, in the middle of either, harms nothing", async () => {
    const { home } = player;
    const env = { ...home.environment, ...(await player.signedIn()) };
    const cloning = startProgram("git", ["clone", "--progress", player.remote("big"), home.at("killed")], {
      env,
      cwd: home.path,
    });
    await cloning.line(/Receiving objects/, 30_000);
    await cloning.stop("SIGKILL");
    await home.commit(work, "again", { "again.bin": randomBytes(8 * 1024 * 1024) });
    const before = await player.remoteRefs("big");
    const pushing = startProgram("git", ["push", "--progress", player.remote("big"), "main"], {
      env,
      cwd: work,
    });
    await pushing.line(/Writing objects/, 30_000);
    await pushing.stop("SIGKILL");
    await until("git to end", async () => (await serversGit(world)).length === 0, goneMs * 2);
    const shown = await player.remoteRefs("big");
    const pushes = await player.pushes("big");
    const last = pushes.at(-1)?.updates[0]?.new;
    assert.deepEqual(shown, [`${last} refs/heads/main`]);
    assert.ok(shown.join() === before.join() || pushes.length === 2);
    await assertServes();
  });

  async function head(service: string, headers: Readonly<Record<string, string>>): Promise<string> {
    const lines = {
      host: new URL(world.url).host,
      authorization: `Bearer ${await player.grant()}`,
      "content-type": `application/x-${service}-request`,
      ...headers,
    };
    const named = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    return `POST /${player.path("big")}.git/${service} HTTP/1.1\r\n${named.join("")}\r\n`;
  }

  async function assertServes(): Promise<void> {
    const clone = player.home.at(`clone-${Date.now()}`);
    await player.git(["clone", "--quiet", player.remote("big"), clone]);
    await player.home.git(["fsck", "--full", "--strict"], { cwd: clone });
  }
});

function open(origin: string): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => resolve(socket));
    socket.once("error", reject);
    socket.on("data", () => undefined);
  });
}
