/**
 * A module that Node preloads in a worker (`--import`): from then on the worker's process sees nothing of its own folder, as on a machine
 * that has not the program's files. Its program may say so too (HIDE_ONLY): then all but these files stay visible.
 */
export const HIDE_OWN_FOLDER = `
import fs from "node:fs";
import Module, { register, syncBuiltinESMExports } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const only = process.env.HIDE_ONLY?.split(",").map((name) => folder + "/" + name) ?? null;
const isHidden = (given) => {
  if (typeof given === "number") return false;
  const path = given instanceof URL ? fileURLToPath(given) : String(given);
  return only === null ? path === folder || path.startsWith(folder + "/") : only.includes(path);
};
const gone = (path) => Object.assign(new Error("ENOENT: no such file or directory, '" + path + "'"), { code: "ENOENT" });

const { existsSync, readlinkSync } = fs;
fs.existsSync = (path) => !isHidden(path) && existsSync(path);
fs.readlinkSync = (path, ...rest) => (path === "/proc/self/ns/mnt" ? "mnt:[of another machine]" : readlinkSync(path, ...rest));
for (const name of ["readFileSync", "statSync", "lstatSync", "realpathSync"]) {
  const original = fs[name];
  fs[name] = Object.assign(function (path, ...rest) {
    if (isHidden(path)) throw gone(path);
    return original.call(this, path, ...rest);
  }, original);
}
for (const name of ["readFile", "stat", "lstat", "access"]) {
  const original = fs.promises[name];
  fs.promises[name] = (path, ...rest) => (isHidden(path) ? Promise.reject(gone(path)) : original.call(fs.promises, path, ...rest));
}
syncBuiltinESMExports();

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  const found = resolveFilename.call(this, request, ...rest);
  if (isHidden(found)) throw Object.assign(new Error("Cannot find module '" + request + "'"), { code: "MODULE_NOT_FOUND" });
  return found;
};
const hidden = only?.map((path) => pathToFileURL(path).href) ?? null;
register("data:text/javascript," + encodeURIComponent(\`
  const hidden = \${JSON.stringify(hidden)};
  const folder = \${JSON.stringify(pathToFileURL(folder + "/").href)};
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context);
    const url = found.url.replace(/[?#].*$/, "");
    if (hidden === null ? !url.startsWith(folder) : !hidden.includes(url)) return found;
    throw Object.assign(new Error("Cannot find module '" + specifier + "'"), { code: "ERR_MODULE_NOT_FOUND" });
  }
\`));
`;
