import * as ray from "mantaray";
import { BATCH_CALLS, CLIENTS, OK, SERVER_ACTORS } from "./ray-workload.ts";
import type { RayWorkload } from "./ray-workload.ts";

const CALLS_PER_CLIENT = 5000;
const CONCURRENCY = 16;

class Server {
  smallValue(): string {
    return OK;
  }

  smallValueOf(_argument: unknown): string {
    return OK;
  }
}

/** With async methods, so that by default up to 1000 calls run at once. */
class AsyncServer {
  async smallValue(): Promise<string> {
    return OK;
  }

  async smallValueOf(_argument: unknown): Promise<string> {
    return OK;
  }
}

type ServerHandle = ray.ActorHandle<Server> | ray.ActorHandle<AsyncServer>;

class Client {
  readonly #servers: readonly ServerHandle[];

  constructor(servers: readonly ServerHandle[]) {
    this.#servers = servers;
  }

  async callEach(callsPerServer: number): Promise<void> {
    await callEach(this.#servers, callsPerServer);
  }

  async callWithArgument(calls: number): Promise<void> {
    const argument = ray.put(0);
    await ray.get(Array.from({ length: calls }, () => this.#servers[0]!.smallValueOf.remote(argument)));
  }
}

async function callEach(servers: readonly ServerHandle[], callsPerServer: number): Promise<void> {
  const refs: ray.ObjectRef<string>[] = [];
  for (const server of servers) {
    for (let calls = 0; calls < callsPerServer; calls++) refs.push(server.smallValue.remote());
  }
  await ray.get(refs);
}

/** Calls all servers in turn. */
const callRoundRobin = ray.remote(async (servers: readonly ServerHandle[], calls: number) => {
  await ray.get(Array.from({ length: calls }, (_, call) => servers[call % servers.length]!.smallValue.remote()));
});

async function startServers(count: number, options: ray.ActorOptions, isAsync: boolean): Promise<ServerHandle[]> {
  const servers: ServerHandle[] = Array.from({ length: count }, () =>
    isAsync ? ray.remote(AsyncServer).options(options).remote() : ray.remote(Server).options(options).remote(),
  );
  await ray.get(servers.map((server) => server.ready()));
  return servers;
}

const oneAtATime = (isAsync: boolean): RayWorkload => ({
  unitsPerCall: 1,
  prepare: async () => {
    const [server] = await startServers(1, {}, isAsync);
    return () => ray.get(server!.smallValue.remote());
  },
});

const batch = (options: ray.ActorOptions, isAsync: boolean): RayWorkload => ({
  unitsPerCall: BATCH_CALLS,
  prepare: async () => {
    const servers = await startServers(1, options, isAsync);
    return () => callEach(servers, BATCH_CALLS);
  },
});

const oneToMany = (isAsync: boolean): RayWorkload => ({
  unitsPerCall: CALLS_PER_CLIENT * SERVER_ACTORS,
  prepare: async () => {
    const client = ray.remote(Client).remote(await startServers(SERVER_ACTORS, {}, isAsync));
    await ray.get(client.ready());
    return () => ray.get(client.callEach.remote(CALLS_PER_CLIENT));
  },
});

const manyToMany = (isAsync: boolean): RayWorkload => ({
  unitsPerCall: CALLS_PER_CLIENT * CLIENTS,
  prepare: async () => {
    const servers = await startServers(SERVER_ACTORS, {}, isAsync);
    return () => ray.get(Array.from({ length: CLIENTS }, () => callRoundRobin.remote(servers, CALLS_PER_CLIENT)));
  },
});

export const RAY_ACTOR_WORKLOADS = {
  "1_1_actor_calls_sync": oneAtATime(false),
  "1_1_actor_calls_async": batch({}, false),
  "1_1_actor_calls_concurrent": batch({ maxConcurrency: CONCURRENCY }, false),
  "1_n_actor_calls_async": oneToMany(false),
  n_n_actor_calls_async: manyToMany(false),
  n_n_actor_calls_with_arg_async: {
    unitsPerCall: BATCH_CALLS * SERVER_ACTORS,
    prepare: async () => {
      const servers = await startServers(SERVER_ACTORS, {}, false);
      const clients = servers.map((server) => ray.remote(Client).remote([server]));
      await ray.get(clients.map((client) => client.ready()));
      return () => ray.get(clients.map((client) => client.callWithArgument.remote(BATCH_CALLS)));
    },
  },
  "1_1_async_actor_calls_sync": oneAtATime(true),
  "1_1_async_actor_calls_async": batch({}, true),
  "1_1_async_actor_calls_with_args_async": {
    unitsPerCall: BATCH_CALLS,
    prepare: async () => {
      const [server] = await startServers(1, {}, true);
      return () => ray.get(Array.from({ length: BATCH_CALLS }, (_, call) => server!.smallValueOf.remote(call)));
    },
  },
  "1_n_async_actor_calls_async": oneToMany(true),
  n_n_async_actor_calls_async: manyToMany(true),
} as const satisfies Record<string, RayWorkload>;
