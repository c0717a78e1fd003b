// The client against a real service. `BIN` is the program.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createProxy } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, test } from "node:test";

import { Client, Refused, Unavailable } from "../dist/index.js";
import { DirectorySpool } from "../dist/spool.js";

const program = process.env.BIN ?? "chiffon-audit";
let directory, port, url, child;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "audit-"));
  const listener = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => listener.once("listening", done));
  port = listener.address().port;
  await new Promise((done) => listener.close(done));
  url = `http://127.0.0.1:${port}`;
  execFileSync("git", ["init", "-q", "--bare", join(directory, "audit.git")]);
});

afterEach(async () => {
  await kill();
  rmSync(directory, { recursive: true, force: true });
});

async function start() {
  const args = ["-C", "audit.git", "serve", "--listen", `127.0.0.1:${port}`, "--log", "error", "--drain", "0"];
  child = spawn(program, args, { cwd: directory, env: { ...process.env, HOME: directory }, stdio: "ignore" });
  while (!(await fetch(`${url}/healthz`).then((answer) => answer.ok, () => false))) await sleep(20);
}

async function kill() {
  if (!child) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await ended;
  child = undefined;
}

const spool = () => new DirectorySpool(join(directory, "spool"));

async function entry(taskId) {
  for (;;) {
    const answer = await fetch(`${url}/api/v1/tasks/${taskId}/entry`);
    if (answer.ok) return answer.json();
    await sleep(20);
  }
}

test("an outcome is accepted and on request committed", async () => {
  await start();
  const client = new Client(url);
  assert.equal((await client.report({ task_id: "a", status: "completed" })).accepted, true);
  assert.equal((await client.report({ task_id: "a", status: "completed" }, { wait: true })).state, "committed");
});

test("a refused outcome rejects and is never spooled", async () => {
  await start();
  const client = new Client(url, { spool: spool() });
  await assert.rejects(client.report({ task_id: "a", status: "shrug" }), Refused);
  assert.deepEqual(await client.drain(), { accepted: 0, refused: 0, waiting: 0 });
});

test("without a spool a service that is away is an error", async () => {
  await assert.rejects(new Client(url, { attempts: 2 }).report({ task_id: "a", status: "completed" }), Unavailable);
});

test("what is spooled survives a restart and is drained; what is refused is set aside", async () => {
  const before = new Client(url, { spool: spool() });
  const receipt = await before.report({ task_id: "a", status: "completed" });
  assert.deepEqual([receipt.accepted, receipt.spooled], [false, true]);
  await before.report({ task_id: "b", status: "shrug" });
  assert.deepEqual(await before.drain(), { accepted: 0, refused: 0, waiting: 2 });
  await start();
  const after = new Client(url, { spool: spool() });
  assert.deepEqual(await after.drain(), { accepted: 1, refused: 1, waiting: 0 });
  assert.equal((await entry("a")).status, "completed");
  const [aside] = readdirSync(join(directory, "spool", "refused"));
  assert.match(readFileSync(join(directory, "spool", "refused", aside), "utf8"), /is not a known status/);
});

test("a spool and the directories above it are for this user alone", async () => {
  const at = join(directory, "state", "chiffon-audit", "spool");
  const client = new Client(url, { spool: new DirectorySpool(at) });
  await client.report({ task_id: "a", status: "shrug" });
  await start();
  assert.equal((await client.drain()).refused, 1);
  for (const path of [join(at, "refused"), at, join(at, ".."), join(at, "..", "..")]) assert.equal(statSync(path).mode & 0o777, 0o700, path);
});

test("an outcome that contains itself is refused", async () => {
  const outcome = { task_id: "a", status: "completed", metadata: {} };
  outcome.metadata.itself = outcome;
  const isRefused = (error) => error instanceof Refused && error.cause instanceof TypeError;
  await assert.rejects(new Client(url, { spool: spool() }).report(outcome), isRefused);
});

test("a task that throws is failed, and the same error is thrown", async () => {
  await start();
  const client = new Client(url, { encodeIds: true });
  assert.equal(await client.task("good", (output) => ((output.x = 1), 7), { plan_id: "p" }), 7);
  await assert.rejects(client.task("bad", () => { throw new Error("no"); }), /no/);
  assert.deepEqual((await entry("good")).execution_result.outcome, { x: 1 });
  assert.equal((await entry("bad")).status, "failed");
});

test("an error of the task is thrown even if it cannot be reported", async (context) => {
  context.mock.method(console, "error", () => {});
  const client = new Client(url, { attempts: 1 });
  await assert.rejects(client.task("bad", () => { throw new RangeError("mine"); }), RangeError);
});

test("a conflict is kept and counts as accepted", async () => {
  await start();
  const client = new Client(url);
  await client.report({ task_id: "a", status: "completed" }, { wait: true });
  const receipt = await client.report({ task_id: "a", status: "failed" }, { wait: true });
  assert.deepEqual([receipt.accepted, receipt.state], [true, "conflicting"]);
});

test("an answer that is not the service's is no receipt", async () => {
  let status;
  const proxy = createProxy((request, response) => request.resume().on("end", () => response.writeHead(status).end("<h1>Sign in</h1>")));
  await new Promise((done) => proxy.listen(port, "127.0.0.1", done));
  try {
    for (status of [200, 400, 401, 404, 413, 502]) {
      await assert.rejects(new Client(url, { attempts: 1 }).report({ task_id: "a", status: "completed" }), Unavailable);
      const client = new Client(url, { spool: spool() });
      assert.equal((await client.report({ task_id: "a", status: "completed" })).spooled, true);
      const drained = await client.drain();
      assert.deepEqual([drained.accepted, drained.refused], [0, 0]);
      assert.ok(drained.waiting > 0);
    }
  } finally {
    proxy.closeAllConnections();
    await new Promise((done) => proxy.close(done));
  }
});

test("a document that the service cannot take does not block the others", async () => {
  const client = new Client(url, { spool: spool() });
  await client.report({ task_id: "a", status: "completed" });
  await client.report({ task_id: "large", status: "completed", metadata: { x: "x".repeat(17 << 20) } });
  await client.report({ task_id: "b", status: "completed" });
  await start();
  assert.deepEqual(await client.drain(), { accepted: 2, refused: 1, waiting: 0 });
});

test("numbers that JSON lacks are recorded as texts", async () => {
  await start();
  await new Client(url).report({ task_id: "a", status: "completed", execution_result: { outcome: { ratio: NaN, big: 2n } } });
  assert.deepEqual((await entry("a")).execution_result.outcome, { ratio: "NaN", big: "2" });
});

test("what the Python client and the command hook have written is left to them", async () => {
  const client = new Client(url, { spool: spool() });
  await client.report({ task_id: "a", status: "completed" });
  writeFileSync(join(directory, "spool", "01769000400000000000-0123456789abcdef0123456789abcdef.ndjson"), '{"task_id": "torn');
  writeFileSync(join(directory, "spool", "0b5c2f0e-8d0f-4a0c-9d0a-6d0b3a0d5a11.hook.ndjson"), '{"task_id": "b", "status": "completed"}\n');
  await start();
  assert.deepEqual(await client.drain(), { accepted: 1, refused: 0, waiting: 0 });
  assert.equal(readdirSync(join(directory, "spool")).length, 2);
});

test("nothing is lost while the service is killed again and again", async () => {
  const client = new Client(url, { spool: spool() });
  const told = [];
  for (let round = 0; round < Number(process.env.KILLS ?? 3); round++) {
    await start();
    for (let index = 0; index < 20; index++) {
      const receipt = await client.report({ task_id: `t-${round}-${index}`, status: "completed" });
      assert.ok(receipt.accepted || receipt.spooled);
      told.push(receipt.taskId);
      if (index === 10) await kill();
    }
  }
  await start();
  assert.equal((await client.drain()).waiting, 0);
  for (const taskId of told) assert.equal((await entry(taskId)).status, "completed");
});

test("the types are the ones of the service's description", async () => {
  await start();
  const made = join(directory, "types.ts");
  execFileSync("node", ["scripts/types.mjs", `${url}/openapi.json`, made]);
  assert.equal(readFileSync(made, "utf8"), readFileSync("src/types.ts", "utf8"));
});

test("the code of the readme runs", async () => {
  await start();
  const [, code] = /\n```ts\n(.*?)\n```\n/s.exec(readFileSync("README.md", "utf8"));
  const here = code
    .replace("http://127.0.0.1:8787", url)
    .replace("/var/spool/chiffon-audit", join(directory, "spool"))
    .replace('"chiffon-audit"', JSON.stringify(new URL("../dist/index.js", import.meta.url).href))
    .replace('"chiffon-audit/spool"', JSON.stringify(new URL("../dist/spool.js", import.meta.url).href));
  writeFileSync(join(directory, "readme.mjs"), here);
  execFileSync("node", [join(directory, "readme.mjs")], { stdio: "pipe" });
  assert.deepEqual((await entry("deploy-2")).execution_result.outcome, { revision: "4f2a" });
});
