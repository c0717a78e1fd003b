// The client: fetch only, no dependency. Runs in Node, browsers and workers.

import type { Outcome, Problem, Receipt as ServiceReceipt } from "./types.js";

export type { Outcome, Problem } from "./types.js";

/** What happened to one outcome: it is durable in the service (`accepted`) or on this machine (`spooled`). */
export interface Receipt {
  taskId: string | undefined;
  accepted: boolean;
  spooled: boolean;
  state: string | undefined;
  answer: Partial<ServiceReceipt> & Record<string, unknown>;
}

/** What `drain` did. `waiting` is what is still in the spool. */
export interface Drained {
  accepted: number;
  refused: number;
  waiting: number;
}

/** Where outcomes wait while the service is away. `chiffon-audit/spool` has one for Node. */
export interface Spool {
  /** Adds documents. When it is done, they would survive a power cut. */
  append(lines: string[]): Promise<void>;
  /** Passes all waiting documents to `send`, in groups, and keeps those that it returns. */
  drain(send: (lines: string[]) => Promise<Sorted>): Promise<Drained>;
}

/** What became of a group of documents. */
export interface Sorted {
  accepted: number;
  refused: { line: string; problem: unknown }[];
  waiting: string[];
}

/** The service refuses the outcome. Sending it again cannot help. */
export class Refused extends Error {
  override name = "Refused";
}

/** The service cannot accept now, and there is no spool. Send the outcome again. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

export interface Options {
  token?: string;
  spool?: Spool;
  /** Takes any text as a task id, and encodes it. */
  encodeIds?: boolean;
  attempts?: number;
  /** In milliseconds, for one request. */
  timeout?: number;
  fetch?: typeof globalThis.fetch;
}

/** What may pass: too slow, too many, and everything that is the server's own trouble. */
const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Reports outcomes. */
export class Client {
  readonly #url: string;
  readonly #options: Options;

  constructor(url = "http://127.0.0.1:8787", options: Options = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#options = options;
  }

  /** Reports one outcome. With `wait`, it is done once the entry is durable in git. Rejects with `Refused` or `Unavailable`. */
  async report(outcome: Outcome, { wait = false } = {}): Promise<Receipt> {
    const document = line(outcome);
    const attempts = Math.max(1, this.#options.attempts ?? 3);
    let last = "the service cannot accept now";
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        const response = await this.#post("application/json", document, wait);
        const answer: unknown = await response.json().catch(() => ({}));
        const receipt = read(response.status, answer);
        if (receipt) return receipt;
        last = `the service answered ${response.status}`;
      } catch (error) {
        if (error instanceof Refused) throw error;
        last = String(error);
        if (this.#options.spool) break;
      }
      if (attempt + 1 < attempts) await sleep(Math.min(30_000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2));
    }
    if (!this.#options.spool) throw new Unavailable(last);
    await this.#options.spool.append([document]);
    return { taskId: outcome.task_id, accepted: false, spooled: true, state: "spooled", answer: {} };
  }

  /** Runs `work` as a task. If it throws, the task is `failed`, and the error goes on. */
  async task<T>(taskId: string, work: (output: Record<string, unknown>) => Promise<T> | T, more: Partial<Outcome> = {}): Promise<T> {
    const output: Record<string, unknown> = {};
    const startTime = new Date().toISOString();
    const end = (status: Outcome["status"]): Outcome => ({
      ...more,
      task_id: taskId,
      status,
      execution_result: { outcome: output, start_time: startTime, end_time: new Date().toISOString() },
    });
    let result: T;
    try {
      result = await work(output);
    } catch (error) {
      output["error"] ??= String(error);
      if (error instanceof Error && error.stack) output["stack"] ??= error.stack;
      await this.report(end("failed"));
      throw error;
    }
    await this.report(end("completed"));
    return result;
  }

  /** Sends what is in the spool. Never counts what was not accepted. */
  async drain(): Promise<Drained> {
    if (!this.#options.spool) return { accepted: 0, refused: 0, waiting: 0 };
    return this.#options.spool.drain((lines) => this.#send(lines));
  }

  async #send(lines: string[]): Promise<Sorted> {
    try {
      const response = await this.#post("application/x-ndjson", lines.join("\n"), false);
      return sort(lines, response.status, await response.text());
    } catch {
      return { accepted: 0, refused: [], waiting: lines };
    }
  }

  #post(type: string, body: string, wait: boolean): Promise<Response> {
    const { token, encodeIds, timeout = 10_000 } = this.#options;
    const query = [encodeIds ? "ids=encode" : "", wait ? "wait=committed" : ""].filter(Boolean).join("&");
    const headers: Record<string, string> = { "Content-Type": type };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const url = `${this.#url}/api/v1/outcomes${query ? `?${query}` : ""}`;
    const send = this.#options.fetch ?? globalThis.fetch;
    return send(url, { method: "POST", headers, body, signal: AbortSignal.timeout(timeout) });
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** The document on one line. `JSON.stringify` escapes half a surrogate pair, which the service repairs. */
function line(outcome: Outcome): string {
  return JSON.stringify(outcome, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

function members(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The receipt; `undefined` if the same request may succeed later. Throws `Refused`. */
function read(status: number, body: unknown): Receipt | undefined {
  if (TEMPORARY.has(status)) return undefined;
  const answer = members(body);
  // A conflict is kept, for a person to look at: nothing is lost.
  const told = status === 409 ? members(answer["receipt"] ?? { ...answer, accepted: true, state: "conflicting" }) : answer;
  if (![200, 202, 409].includes(status)) throw new Refused(reason(status, answer));
  return {
    taskId: told["task_id"] as string | undefined,
    accepted: told["accepted"] === true || "result" in told,
    spooled: false,
    state: (told["state"] ?? told["result"]) as string | undefined,
    answer: told,
  };
}

function reason(status: number, answer: Record<string, unknown>): string {
  const problem = answer as Partial<Problem>;
  const errors = (problem.errors ?? []).map((error) => `${error.pointer}: ${error.detail}`).join("; ");
  return problem.detail ?? (errors || problem.title || `the service answered ${status}`);
}

/** Reads the answer to a batch, one line for each document. What has no answer waits. */
function sort(lines: string[], status: number, body: string): Sorted {
  const sorted: Sorted = { accepted: 0, refused: [], waiting: [] };
  const answers: Record<string, unknown>[] = [];
  if ([200, 202, 207].includes(status)) {
    for (const text of body.split("\n")) {
      try {
        if (text) answers.push(members(JSON.parse(text)));
      } catch {
        break;
      }
    }
  } else if (!TEMPORARY.has(status) && status !== 401 && status !== 403 && lines.length === 1) {
    sorted.refused.push({ line: lines[0] ?? "", problem: body });
    return sorted;
  }
  lines.forEach((line, index) => {
    const answer = answers[index];
    const code = answer?.["line"] === index + 1 ? (answer["code"] as number) : undefined;
    if (code === undefined || TEMPORARY.has(code)) sorted.waiting.push(line);
    else if ([200, 202, 409].includes(code)) sorted.accepted += 1;
    else sorted.refused.push({ line, problem: answer });
  });
  return sorted;
}
