// A spool for Node: a directory with a file for each append, synced before `append` is done.

import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

import type { BatchResult, Drained, Spool } from "./index.js";

const SUFFIX = ".ndjson";
/** Limits of one request, far below those of the service. */
const BATCH_LINES = 500;
const BATCH_BYTES = 4 << 20;
/** One document that the service fails at must not block all others. After two such failures the trouble is the service's. */
const MAX_FAILURES = 2;
/**
 * Files of this module. It leaves those of the Python client alone, because Node has no locks that keep their writers away, and those of
 * the command `hook` (`*.hook.ndjson`), which records them itself.
 */
const OURS = /^\d{15}-[0-9a-f]{8}-[0-9a-f-]{27}\.ndjson$/;

/**
 * A spool in a directory, which is created if it is missing. Several processes may share it, the Python client included: its
 * `drain` also sends what Node has written.
 */
export class DirectorySpool implements Spool {
  readonly #directory: string;
  /** Shared by appends at the same time: none of them is done before the directory is durable. */
  #creation: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = resolve(directory);
  }

  async append(lines: string[]): Promise<void> {
    this.#creation ??= createDirectory(this.#directory).finally(() => (this.#creation = undefined));
    await this.#creation;
    const name = `${String(Date.now()).padStart(15, "0")}-${randomUUID()}`;
    const beside = join(this.#directory, `${name}.tmp`);
    // A file gets its name once it is whole: a crash leaves no torn line.
    await write(beside, lines.map((line) => `${line}\n`).join("")).catch(async (error: unknown) => {
      // The disk is full: nothing of it is in the spool.
      await rm(beside, { force: true });
      throw error;
    });
    await rename(beside, join(this.#directory, name + SUFFIX));
    await sync(this.#directory);
  }

  async drain(send: (lines: string[]) => Promise<BatchResult>): Promise<Drained> {
    const drained: Drained = { accepted: 0, refused: 0, waiting: 0 };
    const files = await this.#files();
    let failures = 0;
    for (let at = 0; at < files.length && failures < MAX_FAILURES; ) {
      // Several files go into one request.
      const batch: { path: string; lines: string[] }[] = [];
      let count = 0;
      let bytes = 0;
      while (at < files.length && (batch.length === 0 || (count < BATCH_LINES && bytes < BATCH_BYTES))) {
        const path = files[at++] as string;
        const lines = await linesOf(path);
        batch.push({ path, lines });
        count += lines.length;
        bytes += lines.reduce((sum, line) => sum + line.length + 1, 0);
      }
      const lines = batch.flatMap((file) => file.lines);
      if (lines.length === 0) continue;
      const result = await send(lines);
      failures = result.isAnswered ? 0 : failures + 1;
      drained.accepted += result.accepted;
      if (result.refused.length > 0) {
        await this.#setAside(result.refused);
        drained.refused += result.refused.length;
      }
      if (result.waiting.length === lines.length) continue;
      // What waits is written before its files go: a crash in between sends it twice, which changes nothing.
      if (result.waiting.length > 0) await this.append(result.waiting);
      await this.#remove(batch);
    }
    for (const path of await this.#files()) drained.waiting += (await linesOf(path)).length;
    return drained;
  }

  async #files(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [] as string[]);
    const ours = names.filter((name) => OURS.test(name)).sort();
    return ours.map((name) => join(this.#directory, name));
  }

  async #remove(batch: { path: string }[]): Promise<void> {
    for (const { path } of batch) await rm(path, { force: true });
    await sync(this.#directory);
  }

  async #setAside(refused: { line: string; problem: unknown }[]): Promise<void> {
    const directory = join(this.#directory, "refused");
    await createDirectory(directory);
    const text = refused.map(({ line, problem }) => `${JSON.stringify({ problem, document: line })}\n`).join("");
    await write(join(directory, `${Date.now()}-${randomUUID()}${SUFFIX}`), text);
    await sync(directory);
  }
}

/** The documents of a file; none if another process has drained it. */
async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").filter((line) => line.trim() !== "");
}

/**
 * Creates a directory and its parents where they are missing, each durable and for this user alone: outcomes may hold what not every
 * user of the machine should read.
 */
async function createDirectory(directory: string): Promise<void> {
  if (directory === dirname(directory) || (await isDirectory(directory))) return;
  await createDirectory(dirname(directory));
  await mkdir(directory, { mode: 0o700 }).catch(async (error: unknown) => {
    // Another process may have created it.
    if (!(await isDirectory(directory))) throw error;
  });
  await sync(dirname(directory));
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isDirectory(), () => false);
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
