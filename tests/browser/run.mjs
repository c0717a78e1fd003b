// The pages and the verifier in a real browser. `.ci/browser` runs it.
//   node run.mjs PROGRAM [DIRECTORY]   tests the program; writes screenshots into the directory

import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { spawn, execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [program, images] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "audit-browser-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const environment = { ...process.env, HOME: work, XDG_CACHE_HOME: join(work, "cache"), GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
const run = (...args) => execFileSync(program, args, { cwd: work, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

const HOSTILE = "<script>document.title='run'</script>\u202e<img src=x onerror=\"document.title='run'\">";

// A trail with entries that try to be markup, and a service that shows it.
function prepare() {
  run("init", "--bare", "audit.git");
  const outcomes = [];
  outcomes.push({ task_id: "hostile", status: "failed", metadata: { intent: HOSTILE }, execution_result: { services_touched: [HOSTILE] }, dispatch_info: { agent_pool: HOSTILE } });
  outcomes.push({ task_id: `long-${"x".repeat(100)}`, status: "completed" });
  for (let number = 1; number <= 130; number += 1) {
    outcomes.push({
      task_id: `deploy-${number}`,
      status: number % 9 ? "completed" : "failed",
      plan_id: `release-${Math.floor(number / 10)}`,
      dispatch_info: { agent_pool: "builders", agent_id: `builder-${number % 4}`, dispatch_timestamp: "2026-01-21T09:58:00Z" },
      execution_result: { services_touched: ["checkout", "billing"].slice(0, number % 3), start_time: "2026-01-21T09:58:02Z", end_time: "2026-01-21T10:00:00Z" },
    });
  }
  writeFileSync(join(work, "outcomes"), outcomes.map((outcome) => JSON.stringify(outcome)).join("\n"));
  writeFileSync(join(work, "key.pub"), "");
  run("-C", "audit.git", "ingest", "outcomes");
  writeFileSync(join(work, "key.pub"), run("-C", "audit.git", "checkpoint", "--new-key", "key"));
  run("-C", "audit.git", "checkpoint", "--key", "key", "--to", "kept");
  run("-C", "audit.git", "prove", "deploy-1", "--checkpoint", "kept");
  writeFileSync(join(work, "verify.html"), run("verifier"));
  writeFileSync(join(work, "tokens"), "read read-0123456789abcdef\n");
}

function serve(...args) {
  const child = spawn(program, ["-C", "audit.git", "serve", "--json", "--listen", "127.0.0.1:0", "--log", "error", "--drain", "0",
    "--checkpoint-key", "key", "--checkpoint-to", "kept", ...args], { cwd: work, env: environment, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the service ended")));
    child.stdout.once("data", (line) => resolve({ child, url: JSON.parse(line).listening }));
  });
}

const end = (child) => new Promise((resolve) => {
  child.removeAllListeners("exit");
  child.once("exit", resolve);
  child.kill("SIGTERM");
});

let passed = 0;
async function test(name, body) {
  await body();
  passed += 1;
  console.log(`ok ${name}`);
}

// A page that fails the test when a script fails, the policy is violated, or something is loaded from elsewhere.
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && !/status of 4\d\d/.test(message.text()) && faults.push(message.text()));
  page.on("request", (request) => !/^(http:\/\/127\.0\.0\.1:|file:)/.test(request.url()) && faults.push(`request: ${request.url()}`));
  return { page, context, check: () => assert.deepEqual(faults, []) };
}

async function accessible(page, name) {
  // axe is evaluated by the debugger, which the page's policy does not bind.
  await page.evaluate(axe);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const found = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), tags);
  const violations = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
  assert.deepEqual(violations, [], name);
}

const VIEWS = { entries: "/", entry: "/entries/deploy-126?claims=1", trail: "/trail", waiting: "/waiting", policies: "/policies", verify: "/verify" };

prepare();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  let host = await serve();
  for (const theme of ["light", "dark"]) {
    await test(`every view is accessible and obeys its policy, ${theme}`, async () => {
      const { page, context, check } = await open(browser, { colorScheme: theme });
      for (const [name, path] of Object.entries(VIEWS)) {
        await page.goto(host.url + path);
        if (name === "verify") await page.waitForSelector("#verify:not([hidden])");
        await accessible(page, name);
        if (images) await page.screenshot({ path: join(images, `${name}-${theme}.png`), fullPage: name === "entry" });
      }
      check();
      await context.close();
    });
  }
  await test("every view is there without scripts, and at 320 pixels", async () => {
    const { page, context, check } = await open(browser, { javaScriptEnabled: false, viewport: { width: 320, height: 640 } });
    for (const path of [...Object.values(VIEWS), "/entries/hostile", `/entries/long-${"x".repeat(100)}`]) {
      await page.goto(host.url + path);
      assert.ok((await page.innerText("h1")).length > 0, path);
    }
    await page.goto(host.url);
    await page.fill("#status", "failed");
    await page.click("button[type=submit]");
    assert.match(page.url(), /status=failed/);
    check();
    await context.close();
    const narrow = await open(browser, { viewport: { width: 320, height: 640 } });
    for (const path of [...Object.values(VIEWS), "/entries/hostile"]) {
      await narrow.page.goto(host.url + path);
      const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 320, `${path}: ${width} pixels`);
    }
    await narrow.context.close();
  });
  await test("markup in entries stays inert", async () => {
    const { page, context, check } = await open(browser);
    for (const path of ["/?status=failed", "/entries/hostile?claims=1"]) {
      await page.goto(host.url + path);
      assert.match(await page.innerText("main"), /<script>document/);
      assert.doesNotMatch(await page.title(), /^run/);
      assert.equal(await page.locator("main img, main script").count(), 0);
      assert.doesNotMatch(await page.innerText("main"), /\u202e/);
    }
    check();
    await context.close();
  });
  await test("filters survive going on, back and reloading", async () => {
    const { page, context, check } = await open(browser);
    await page.goto(host.url);
    await page.fill("#status", "completed");
    await page.press("#status", "Enter");
    await page.waitForURL(/status=completed/);
    await page.click("#next");
    await page.waitForURL(/cursor=/);
    assert.equal(await page.inputValue("#status"), "completed");
    await page.reload();
    assert.equal(await page.inputValue("#status"), "completed");
    await page.goBack();
    await page.waitForURL((url) => !url.searchParams.has("cursor"));
    assert.equal(await page.inputValue("#status"), "completed");
    check();
    await context.close();
  });
  await test("the keyboard is enough", async () => {
    const { page, context, check } = await open(browser);
    await page.goto(host.url);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "task");
    await page.keyboard.type("deploy-9");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/entries\/deploy/);
    assert.match(await page.innerText("time .local >> nth=0"), /Europe\/Berlin/);
    check();
    await context.close();
  });
  await test("the live list shows what is recorded meanwhile", async () => {
    const { page, context, check } = await open(browser);
    await page.goto(host.url);
    await page.click("#live");
    await page.mouse.move(0, 0);
    const sent = await fetch(`${host.url}/api/v1/outcomes?wait=committed`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"task_id":"meanwhile","status":"completed"}' });
    assert.equal(sent.status, 200);
    await page.waitForSelector("text=meanwhile");
    check();
    await context.close();
  });
  const verifyThere = async (page, proof) => {
    await page.waitForSelector("#verify:not([hidden])");
    await page.setInputFiles("#proof", proof);
    await page.fill("#checkpoint_key", readFileSync(join(work, "key.pub"), "utf8"));
    await page.fill("#against", readFileSync(join(work, "kept"), "utf8"));
    await page.click("#verify button[type=submit]");
    await page.waitForSelector("#answer:not([hidden])");
    return page.locator("#json").textContent();
  };
  const onCommandLine = (proof) => {
    try {
      return run("verify", "--json", "--proof", proof, "--checkpoint-key", "key.pub", "--against", "kept");
    } catch (failed) {
      return failed.stdout;
    }
  };
  await test("the page verifies as the command line does, without a request", async () => {
    const { page, context, check } = await open(browser);
    await page.goto(`${host.url}/verify`);
    await page.waitForSelector("#verify:not([hidden])");
    page.on("request", (request) => assert.fail(request.url()));
    const json = JSON.parse(await verifyThere(page, join(work, "deploy-1.proof")));
    assert.equal(json.outcome, "holds");
    check();
    await context.close();
  });
  await test("the file verifies from a disk with the network off", async () => {
    const { page, context, check } = await open(browser, { offline: true });
    await page.goto(`file://${join(work, "verify.html")}`);
    const good = readFileSync(join(work, "deploy-1.proof"));
    const cases = { "good.proof": good, "cut.proof": good.subarray(0, 100), "altered.proof": Buffer.from(good.toString("latin1").replace("completed", "cancelled"), "latin1"), "none.proof": Buffer.from("x") };
    for (const [name, bytes] of Object.entries(cases)) {
      writeFileSync(join(work, name), bytes);
      const shown = (await verifyThere(page, join(work, name))).trim().replaceAll("`kept`", "`checkpoint`");
      assert.equal(shown, onCommandLine(name).trim().replaceAll("`kept`", "`checkpoint`"), name);
    }
    const began = Date.now();
    await verifyThere(page, join(work, "good.proof"));
    console.log(`a verdict and its display took ${Date.now() - began} ms`);
    await accessible(page, "verify.html");
    if (images) await page.screenshot({ path: join(images, "verifier-light.png"), fullPage: true });
    check();
    await context.close();
  });
  await end(host.child);
  host = await serve("--tokens", join(work, "tokens"));
  await test("a person logs in and out, and comes to the page that was asked for", async () => {
    const { page, context, check } = await open(browser);
    await page.goto(`${host.url}/trail`);
    assert.match(page.url(), /\/login\?next=/);
    await accessible(page, "login");
    await page.fill("#token", "wrong-0123456789abcdef");
    await page.press("#token", "Enter");
    await page.waitForSelector("[role=alert]");
    await page.fill("#token", "read-0123456789abcdef");
    await page.press("#token", "Enter");
    await page.waitForURL(/\/trail$/);
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.click("text=Log out");
    await page.waitForURL(/\/login$/);
    await page.goto(host.url);
    assert.match(page.url(), /\/login/);
    check();
    await context.close();
  });
  await end(host.child);
} finally {
  await browser.close();
  rmSync(work, { recursive: true, force: true });
}
console.log(`${passed} tests in the browser passed`);
