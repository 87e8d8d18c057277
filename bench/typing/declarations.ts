/** Programs with as many remote functions and classes as asked for, no two of one shape, and the same without a runtime. */

/** What the functions and classes are declared with. */
export type DeclaredWith = "mantaray" | "nothing";

/** In turn a task with two calls, and an actor with its creation and a call of each of its three methods; half of `count` are either. */
export function programWith(count: number, declaredWith: DeclaredWith): string {
  const header = declaredWith === "mantaray" ? ['import * as ray from "mantaray";'] : [];
  const declarations = Array.from({ length: count }, (_, number) => {
    const write = number % 2 === 0 ? taskDeclaration : actorDeclaration;
    return write(number, declaredWith);
  });
  return [...header, ...declarations, "export {};", ""].join("\n");
}

function taskDeclaration(number: number, declaredWith: DeclaredWith): string {
  const [n, isRemote] = [number, declaredWith === "mantaray"];
  return [
    `interface Order${n} { readonly id: ${n}; readonly field${n}: string; readonly lines: readonly { readonly price: number; readonly code${n}: string }[] }`,
    `function total${n}(order: Order${n}, factor: number): { readonly total${n}: number; readonly codes: string[] } {`,
    `  return { total${n}: order.lines.reduce((sum, line) => sum + line.price * factor, 0), codes: order.lines.map((line) => line.code${n}) };`,
    `}`,
    isRemote ? `const remoteTotal${n} = ray.remote(total${n}, { numCpus: 1, maxRetries: 2 });` : `const remoteTotal${n} = { remote: total${n} };`,
    isRemote ? `const order${n} = ray.put<Order${n}>({ id: ${n}, field${n}: "a", lines: [] });` : `const order${n}: Order${n} = { id: ${n}, field${n}: "a", lines: [] };`,
    isRemote ? `const { total${n}: first${n} } = await ray.get(remoteTotal${n}.remote(order${n}, 2));` : `const { total${n}: first${n} } = await remoteTotal${n}.remote(order${n}, 2);`,
    isRemote ? `const both${n} = await ray.get([remoteTotal${n}.options({ priority: 1 }).remote(order${n}, first${n}), order${n}]);` : `const both${n} = await Promise.all([remoteTotal${n}.remote(order${n}, first${n}), order${n}] as const);`,
    `export const codes${n}: string[] = [...both${n}[0].codes, both${n}[1].field${n}];`,
  ].join("\n");
}

function actorDeclaration(number: number, declaredWith: DeclaredWith): string {
  const [n, isRemote] = [number, declaredWith === "mantaray"];
  const get = (call: string) => (isRemote ? `await ray.get(${call})` : `await ${call}`);
  const method = (name: string, args: string) => (isRemote ? `account${n}.${name}.remote(${args})` : `account${n}.${name}(${args})`);
  return [
    `interface Entry${n} { readonly amount: number; readonly kind${n}: "in" | "out" }`,
    `class Account${n} {`,
    `  #entries: Entry${n}[] = [];`,
    `  private owner: string;`,
    `  constructor(owner: string, limit${n}: number) { this.owner = owner + limit${n}; }`,
    `  book(entry: Entry${n}): number { this.#entries.push(entry); return this.#entries.length; }`,
    `  async entries(from: number, kind?: Entry${n}["kind${n}"]): Promise<Entry${n}[]> { return this.#entries.slice(from).filter((entry) => entry.kind${n} === kind); }`,
    `  describe${n}(): { readonly owner${n}: string } { return { owner${n}: this.owner }; }`,
    `}`,
    isRemote ? `const account${n} = ray.remote(Account${n}, { maxRestarts: 1 }).remote("a", ${n});` : `const account${n} = new Account${n}("a", ${n});`,
    `const booked${n} = ${get(method("book", `{ amount: 1, kind${n}: "in" }`))};`,
    `const list${n} = ${get(method("entries", `booked${n}, "out"`))};`,
    `const { owner${n} } = ${get(method(`describe${n}`, ""))};`,
    `export const summary${n}: [number, string] = [list${n}[0]?.amount ?? 0, owner${n}];`,
  ].join("\n");
}
