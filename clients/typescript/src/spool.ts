// A spool for Node: a directory with a file for each append, synced before `append` is done.

import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Drained, Sorted, Spool } from "./index.js";

const SUFFIX = ".ndjson";
/** Of one request: far below what the service takes at once. */
const GROUP = 500;
const GROUP_BYTES = 4 << 20;
/** One document that the service fails at must not block all others. After two such failures the trouble is the service's. */
const MAX_FAILURES = 2;
/** Files of this module. It leaves those of the Python client alone: Node has no locks that keep their writers away. */
const OURS = /^\d{15}-[0-9a-f]{8}-[0-9a-f-]{27}\.ndjson$/;

/**
 * A spool in a directory, which is created if it is missing. Several processes may share it, the Python client included: its
 * `drain` also sends what Node has written.
 */
export class DirectorySpool implements Spool {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async append(lines: string[]): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
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

  async drain(send: (lines: string[]) => Promise<Sorted>): Promise<Drained> {
    const drained: Drained = { accepted: 0, refused: 0, waiting: 0 };
    const files = await this.#files();
    let failures = 0;
    for (let at = 0; at < files.length && failures < MAX_FAILURES; ) {
      // Several files go into one request.
      const group: { path: string; lines: string[] }[] = [];
      let count = 0;
      let bytes = 0;
      while (at < files.length && (group.length === 0 || (count < GROUP && bytes < GROUP_BYTES))) {
        const path = files[at++] as string;
        // Another process may have drained it.
        const text = await readFile(path, "utf8").catch(() => "");
        const lines = text.split("\n").filter((line) => line.trim() !== "");
        group.push({ path, lines });
        count += lines.length;
        bytes += text.length;
      }
      const lines = group.flatMap((file) => file.lines);
      if (lines.length === 0) continue;
      const sorted = await send(lines);
      failures = sorted.answered ? 0 : failures + 1;
      drained.accepted += sorted.accepted;
      if (sorted.refused.length > 0) {
        await this.#setAside(sorted.refused);
        drained.refused += sorted.refused.length;
      }
      if (sorted.waiting.length === lines.length) continue;
      // What waits is written before its files go: a crash in between sends it twice, which changes nothing.
      if (sorted.waiting.length > 0) await this.append(sorted.waiting);
      await this.#remove(group);
    }
    for (const path of await this.#files()) {
      const text = await readFile(path, "utf8").catch(() => "");
      drained.waiting += text.split("\n").filter((line) => line.trim() !== "").length;
    }
    return drained;
  }

  async #files(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => [] as string[]);
    const ours = names.filter((name) => OURS.test(name)).sort();
    return ours.map((name) => join(this.#directory, name));
  }

  async #remove(group: { path: string }[]): Promise<void> {
    for (const { path } of group) await rm(path, { force: true });
    await sync(this.#directory);
  }

  async #setAside(refused: { line: string; problem: unknown }[]): Promise<void> {
    const directory = join(this.#directory, "refused");
    await mkdir(directory, { recursive: true });
    const text = refused.map(({ line, problem }) => `${JSON.stringify({ problem, document: line })}\n`).join("");
    await write(join(directory, `${Date.now()}-${randomUUID()}${SUFFIX}`), text);
    await sync(directory);
  }
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
