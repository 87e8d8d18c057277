import assert from "node:assert/strict";
import { it } from "node:test";
import { runProgram } from "./child-program.ts";

const flags = process.allowedNodeEnvironmentFlags;
const PERMISSION = [flags.has("--permission") ? "--permission" : "--experimental-permission", "--allow-fs-read=*", "--allow-fs-write=*", "--allow-worker", "--allow-addons"];
const INSPECTOR = "--allow-inspector";
const SOURCE = `
  import * as ray from "mantaray";
  const seven = ray.remote(() => 7);
  try { console.log(await seven.remote().get()); } catch (error) { console.log(error.code, error.message); }
`;

it("a function that cannot be captured under Node's permission model says what to do", async () => {
  const { stdout, exitCode } = await runProgram({ files: { "program.mjs": SOURCE }, nodeArguments: PERMISSION });
  assert.match(stdout, /^ERR_MANTARAY_SERIALIZATION .*permission model.*--allow-inspector/);
  assert.equal(exitCode, 0);
});

it("with the inspector allowed it travels", { skip: flags.has(INSPECTOR) ? false : `this Node has no ${INSPECTOR}` }, async () => {
  const { stdout } = await runProgram({ files: { "program.mjs": SOURCE }, nodeArguments: [...PERMISSION, INSPECTOR] });
  assert.equal(stdout, "7\n");
});
