import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { testChannelConformance } from "./channel-conformance.ts";
import type { Channel } from "./channel.ts";
import { LoopSpinner } from "./loop-spinner.ts";
import { connectSocket, listenSocket } from "./socket-channel.ts";
import type { ListenOptions, SocketAddress, SocketListener } from "./socket-channel.ts";
import { createSpinPermitMemory, SpinPermits } from "./spin-permits.ts";
import type { TransportError } from "./transport-error.ts";

const TOKEN = "a secret of the session";

function needySpinner(nextTurn: (callback: () => void) => void): LoopSpinner {
  const spinner = new LoopSpinner({ nowMs: () => performance.now(), spinPermits: new SpinPermits(createSpinPermitMemory(1), () => performance.now()), nextTurn });
  spinner.isNeeded = true;
  return spinner;
}
const ECHO_PROCESS = fileURLToPath(new URL("./fixtures/echo-process.ts", import.meta.url));

function socketPath(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "mantaray-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "worker.sock");
}

async function listen(context: TestContext, where: SocketAddress, options: Partial<ListenOptions> = {}): Promise<{ listener: SocketListener; accepted: Promise<Channel> }> {
  let accept: (channel: Channel) => void = () => undefined;
  const accepted = new Promise<Channel>((resolve) => {
    accept = resolve;
  });
  // Listeners and channels do not keep the process alive by themselves.
  const hold = setInterval(() => undefined, 60_000);
  context.after(() => clearInterval(hold));
  const listener = await listenSocket(where, { workerId: "listener", token: TOKEN, onChannel: accept, ...options });
  context.after(() => listener.close());
  return { listener, accepted };
}

for (const kind of ["unix socket", "TCP"] as const) {
  const addressFor = (context: TestContext): SocketAddress => (kind === "TCP" ? { host: "127.0.0.1", port: 0 } : { path: socketPath(context) });
  testChannelConformance(kind, {
    async openPair(context) {
      // With TCP as workers have it, with unix sockets as node managers do.
      const spinning = kind === "TCP" ? { spinner: needySpinner(setImmediate) } : {};
      const { listener, accepted } = await listen(context, addressFor(context), spinning);
      const near = await connectSocket(listener.address, { workerId: "connector", token: TOKEN, ...spinning });
      const far = await accepted;
      assert.deepEqual([near.peerId, far.peerId], ["listener", "connector"]);
      for (const channel of [near, far]) channel.ref();
      context.after(() => [near, far].forEach((channel) => channel.close()));
      return [near, far];
    },
    ...(kind === "unix socket" && {
      async openEcho(context: TestContext) {
        const path = socketPath(context);
        const { accepted } = await listen(context, { path });
        const child = spawn(process.execPath, ["--import", "tsx", ECHO_PROCESS, path, TOKEN], { stdio: "inherit" });
        const ended = once(child, "exit");
        const channel = await accepted;
        context.after(async () => {
          channel.close();
          child.kill("SIGKILL");
          await ended;
        });
        return { channel, ended, kill: () => void child.kill("SIGKILL") };
      },
    }),
  });
}

test("either side of a channel tells its thread's spinner what has come", { timeout: 100_000 }, async (context) => {
  const spun = { near: 0, far: 0 };
  const counting = (side: "near" | "far"): LoopSpinner => needySpinner(() => void spun[side]++);
  const { listener, accepted } = await listen(context, { path: socketPath(context) }, { spinner: counting("far") });
  const near = await connectSocket(listener.address, { workerId: "connector", token: TOKEN, spinner: counting("near") });
  const far = await accepted;
  context.after(() => [near, far].forEach((channel) => channel.close()));
  assert.deepEqual(spun, { near: 0, far: 0 }, "a handshake is no row of arrivals");
  far.onFrame((frame) => void far.send(frame));
  near.ref();
  // Where they are ever so slow: some of many come soon after the one before.
  await new Promise<void>((resolve) => {
    near.onFrame(() => {
      if (spun.near > 0 && spun.far > 0) resolve();
      else near.send(Uint8Array.of(1));
    });
    near.send(Uint8Array.of(1));
  });
});

describe("socket handshake", { timeout: 100_000 }, () => {
  async function refusals(context: TestContext, theirs: { token?: string; protocolVersion?: number }): Promise<[TransportError, TransportError]> {
    let onRefused: (error: TransportError) => void = () => undefined;
    const refused = new Promise<TransportError>((resolve) => {
      onRefused = resolve;
    });
    const { listener } = await listen(context, { path: socketPath(context) }, { onRefused, onChannel: () => assert.fail("a stranger was let in") });
    const failure = connectSocket(listener.address, { workerId: "stranger", token: TOKEN, ...theirs }).then(
      () => assert.fail("connected"),
      (error: TransportError) => error,
    );
    return Promise.all([failure, refused]);
  }

  test("a wrong token is refused, and both sides know why", async (context) => {
    const errors = await refusals(context, { token: "a guess" });
    assert.deepEqual(errors.map((error) => error.code), ["ERR_MANTARAY_PEER_TOKEN", "ERR_MANTARAY_PEER_TOKEN"]);
  });

  test("another protocol version is refused, and both sides know why", async (context) => {
    const errors = await refusals(context, { protocolVersion: 60_000 });
    assert.deepEqual(errors.map((error) => error.code), ["ERR_MANTARAY_PEER_VERSION", "ERR_MANTARAY_PEER_VERSION"]);
    for (const error of errors) assert.match(error.message, /60000/);
  });

  test("a stranger's garbage is refused without being collected", async (context) => {
    let refused: (error: TransportError) => void = () => undefined;
    const refusal = new Promise<TransportError>((resolve) => {
      refused = resolve;
    });
    const path = socketPath(context);
    await listen(context, { path }, { onRefused: refused });
    const stranger = connect({ path });
    stranger.on("error", () => undefined);
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    await once(stranger, "close");
    assert.equal((await refusal).code, "ERR_MANTARAY_PEER_REFUSED");
  });

  test("who listens but never answers costs the time allowed and no more", async (context) => {
    const path = socketPath(context);
    const server = createServer(() => undefined).listen(path);
    context.after(() => server.close());
    await once(server, "listening");
    await assert.rejects(connectSocket({ path }, { workerId: "w", token: TOKEN, timeoutMs: 20 }), { code: "ERR_MANTARAY_CONNECT_TIMEOUT" });
  });

  test("nobody there, a path too long and an address in use are typed errors", async (context) => {
    const path = socketPath(context);
    await assert.rejects(connectSocket({ path }, { workerId: "w", token: TOKEN }), { code: "ERR_MANTARAY_CONNECT_FAILED" });
    const long = join(path, "x".repeat(120));
    await assert.rejects(listenSocket({ path: long }, { workerId: "w", token: TOKEN, onChannel: () => undefined }), { code: "ERR_MANTARAY_LISTEN_FAILED" });
    await listen(context, { path });
    await assert.rejects(listen(context, { path }), { code: "ERR_MANTARAY_LISTEN_FAILED" });
  });

  test("the file of a path is gone after close", async (context) => {
    const path = socketPath(context);
    const { listener } = await listen(context, { path });
    assert.equal(existsSync(path), true);
    listener.close();
    assert.equal(existsSync(path), false);
  });
});
