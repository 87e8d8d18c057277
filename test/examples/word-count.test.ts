import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runExample } from "./run-example.ts";

describe("word-count", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "word-count-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function textFile(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  }

  for (const isolation of ["thread", "process"]) {
    it(`counts the shipped text with actors in a ${isolation}`, async () => {
      const run = await runExample("word-count", ["--passes", "1", "--top", "3", "--isolation", isolation]);
      assert.equal(run.stderr, "");
      assert.equal(run.exitCode, 0);
      assert.match(run.stdout, /^Counting the words of examples\/word-count\/data\/kjv\.txt \(4,298,236 bytes\) with /);
      assert.match(run.stdout, /^ *\d+ % +[\d,]+ words\n(?:.*\n)* *100 % +790,889 words$/m);
      assert.match(run.stdout, /^ +63,919 +8\.1 % {2}the\n +51,696 +6\.5 % {2}and\n +34,626 +4\.4 % {2}of\n\n/m);
      assert.match(run.stdout, /^790,889 words, 12,768 of them distinct$/m);
      assert.match(run.stdout, /^Both counted the same: 790,889 words\.$/m);
    });
  }

  it("counts files of one's own together, whatever their script", async () => {
    const run = await runExample("word-count", [
      await textFile("german.txt", "Äpfel, äpfel und Birnen"),
      await textFile("greek.txt", "ο λόγος και ο νους — Birnen"),
      "--top=2",
      "--mappers=3",
      "--reducers=4",
    ]);
    assert.equal(run.stderr, "");
    assert.equal(run.exitCode, 0);
    assert.match(run.stdout, /^Counting the words of 2 files \(\d+ bytes\) with 3 mappers and 4 reducers\.$/m);
    assert.match(run.stdout, /^ +2 +20\.0 % {2}birnen\n +2 +20\.0 % {2}äpfel\n\n10 words, 7 of them distinct$/m);
    assert.match(run.stdout, /^Both counted the same: 10 words\.$/m);
  });

  it("cuts a long file between words only, also where it has no line ends or no blanks", async () => {
    const words = 60_000;
    const run = await runExample("word-count", [
      await textFile("blanks.txt", "naïve ".repeat(words)),
      await textFile("lines.txt", "naïve\n".repeat(words)),
      await textFile("no-blanks.txt", "数".repeat(100_000)),
      "--top=1",
      "--passes=1",
    ]);
    assert.equal(run.exitCode, 0, run.stderr);
    assert.match(run.stdout, /^ +120,000 .* naïve$/m);
    assert.match(run.stdout, /^Both counted the same/m);
    assert.ok(!run.stdout.includes("\uFFFD"), "a character was cut");
  });

  it("counts nothing in an empty file", async () => {
    const run = await runExample("word-count", [await textFile("empty.txt", "")]);
    assert.equal(run.stderr, "");
    assert.equal(run.exitCode, 0);
    assert.match(run.stdout, /^0 words, 0 of them distinct$/m);
  });

  it("says what is wrong with a file", async () => {
    const missing = join(folder, "missing.txt");
    assert.deepEqual(await runExample("word-count", [missing]), {
      exitCode: 1,
      stdout: "",
      stderr: `word-count: cannot read ${missing}: there is no such file\n`,
    });
    assert.deepEqual(await runExample("word-count", [folder]), {
      exitCode: 1,
      stdout: "",
      stderr: `word-count: cannot read ${folder}: it is a folder; name the files in it\n`,
    });
  });

  it("says what is wrong with an option", async () => {
    const run = await runExample("word-count", ["--mappers", "none"]);
    assert.equal(run.exitCode, 1);
    assert.match(run.stderr, /^word-count: --mappers is a whole number from 1 to 256, not "none"\n\nUsage: /);
    const unknown = await runExample("word-count", ["--unknown"]);
    assert.equal(unknown.exitCode, 1);
    assert.match(unknown.stderr, /^word-count: Unknown option '--unknown'/);
  });
});
