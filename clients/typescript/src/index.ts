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
  /** Passes all waiting documents to `send`, in batches, and keeps those that it returns. */
  drain(send: (lines: string[]) => Promise<BatchResult>): Promise<Drained>;
}

/** What happened to a batch. `isAnswered` is whether the service has answered for at least one document. */
export interface BatchResult {
  accepted: number;
  refused: { line: string; problem: unknown }[];
  waiting: string[];
  isAnswered: boolean;
}

/** The service refuses the outcome. Sending it again cannot help. */
export class Refused extends Error {
  override name = "Refused";
}

/** The service cannot accept the outcome now, and it could not be spooled. Send it again. */
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

/** Statuses with which the service judges the document. Any other status is about the network, the token or the service. */
const ABOUT_THE_DOCUMENT = new Set([400, 413, 415, 422]);
const PROBLEM = "urn:chiffon-audit:problem:";

/** In milliseconds. With `wait`, the service answers after 30 seconds at the latest. */
const LONGEST_WAIT = 40_000;

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
    const document = encode(outcome);
    const attempts = Math.max(1, this.#options.attempts ?? 3);
    let last = "the service cannot accept now";
    for (let attempt = 0; attempt < attempts; attempt++) {
      let pause = Math.min(30_000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2);
      try {
        const response = await this.#post("application/json", document, wait);
        const answer: unknown = await response.json().catch(() => ({}));
        const receipt = readReceipt(response.status, answer);
        if (receipt) return receipt;
        last = `the service answered ${response.status}`;
        const seconds = Number(response.headers.get("retry-after") ?? NaN);
        if (seconds >= 0) pause = Math.min(30, seconds) * 1000;
      } catch (error) {
        if (error instanceof Refused) throw error;
        last = String(error);
      }
      if (this.#options.spool) {
        try {
          await this.#options.spool.append([document]);
          return { taskId: outcome.task_id, accepted: false, spooled: true, state: "spooled", answer: {} };
        } catch (error) {
          last += `; the spool cannot be written: ${String(error)}`;
        }
      }
      if (attempt + 1 < attempts) await sleep(pause);
    }
    throw new Unavailable(last);
  }

  /** Runs `work` as a task. If it throws, the task is `failed`, and the same error is thrown. */
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
      // The caller must see the task's own error, also if the report fails.
      await this.report(end("failed")).catch((problem: unknown) => console.error(`cannot report that ${taskId} failed:`, problem));
      throw error;
    }
    await this.report(end("completed"));
    return result;
  }

  /** Sends what is in the spool. Only what the service has accepted counts as accepted. */
  async drain(): Promise<Drained> {
    if (!this.#options.spool) return { accepted: 0, refused: 0, waiting: 0 };
    return this.#options.spool.drain((lines) => this.#send(lines));
  }

  async #send(lines: string[]): Promise<BatchResult> {
    let status: number, body: string;
    try {
      const response = await this.#post("application/x-ndjson", lines.join("\n"), false);
      [status, body] = [response.status, await response.text()];
    } catch {
      return allWaiting(lines);
    }
    if (!isRefusedAsAWhole(lines, status, body)) return readBatch(lines, status, body);
    const middle = lines.length >> 1;
    const first = await this.#send(lines.slice(0, middle));
    const second = await this.#send(lines.slice(middle));
    return {
      accepted: first.accepted + second.accepted,
      refused: [...first.refused, ...second.refused],
      waiting: [...first.waiting, ...second.waiting],
      isAnswered: first.isAnswered || second.isAnswered,
    };
  }

  #post(type: string, body: string, wait: boolean): Promise<Response> {
    const { token, encodeIds, timeout = 10_000 } = this.#options;
    const query = [encodeIds ? "ids=encode" : "", wait ? "wait=committed" : ""].filter(Boolean).join("&");
    const headers: Record<string, string> = { "Content-Type": type };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const url = `${this.#url}/api/v1/outcomes${query ? `?${query}` : ""}`;
    const send = this.#options.fetch ?? globalThis.fetch;
    return send(url, { method: "POST", headers, body, signal: AbortSignal.timeout(wait ? Math.max(timeout, LONGEST_WAIT) : timeout) });
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** The document on one line. `JSON.stringify` escapes half a surrogate pair, which the service repairs, and would make NaN a null. */
function encode(outcome: Outcome): string {
  const isPlain = (value: unknown) => typeof value !== "bigint" && !(typeof value === "number" && !Number.isFinite(value));
  try {
    return JSON.stringify(outcome, (_, value: unknown) => (isPlain(value) ? value : String(value)));
  } catch (error) {
    throw new Refused("the outcome is not JSON", { cause: error });
  }
}

function members(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The members of an answer; none if it is no JSON object. */
function parse(body: string): Record<string, unknown> {
  try {
    return members(JSON.parse(body));
  } catch {
    return {};
  }
}

/** Whether the service has accepted the document, or says that there is nothing to record. */
function isTaken(answer: Record<string, unknown>): boolean {
  return answer["accepted"] === true || typeof answer["result"] === "string";
}

/** Whether the service itself says so. A proxy on the way answers in other words. */
function isProblem(answer: Record<string, unknown>): boolean {
  return String(answer["type"]).startsWith(PROBLEM);
}

/** The receipt; `undefined` if the same request may succeed later. Throws `Refused`. */
function readReceipt(status: number, body: unknown): Receipt | undefined {
  const answer = members(body);
  if (ABOUT_THE_DOCUMENT.has(status) && isProblem(answer)) throw new Refused(reason(status, answer));
  const isConflict = status === 409 && ("receipt" in answer || "task_id" in answer || isProblem(answer));
  if (!isConflict && !([200, 202].includes(status) && isTaken(answer))) return undefined;
  // A conflict is kept, for a person to look at: nothing is lost.
  const told = isConflict ? members(answer["receipt"] ?? { ...answer, accepted: true, state: "conflicting" }) : answer;
  return {
    taskId: told["task_id"] as string | undefined,
    accepted: isTaken(told),
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

function allWaiting(lines: string[]): BatchResult {
  return { accepted: 0, refused: [], waiting: lines, isAnswered: false };
}

/** Whether the service refuses the request as a whole, so that the documents must be sent in smaller batches. */
function isRefusedAsAWhole(lines: string[], status: number, body: string): boolean {
  return lines.length > 1 && ABOUT_THE_DOCUMENT.has(status) && isProblem(parse(body));
}

/** Reads the answer to a batch, one line for each document. A document without an answer waits. */
function readBatch(lines: string[], status: number, body: string): BatchResult {
  if (![200, 202, 207].includes(status)) {
    const problem = parse(body);
    if (lines.length === 1 && ABOUT_THE_DOCUMENT.has(status) && isProblem(problem)) {
      return { accepted: 0, refused: [{ line: lines[0] ?? "", problem }], waiting: [], isAnswered: true };
    }
    return allWaiting(lines);
  }
  const answers = new Map(body.split("\n").map(parse).map((answer) => [answer["line"], answer] as const));
  answers.delete(undefined);
  const result: BatchResult = { accepted: 0, refused: [], waiting: [], isAnswered: answers.size > 0 };
  lines.forEach((line, index) => {
    const answer = answers.get(index + 1) ?? {};
    const code = answer["code"] as number | undefined;
    if (code === 409 || ((code === 200 || code === 202) && isTaken(answer))) result.accepted += 1;
    else if (code !== undefined && ABOUT_THE_DOCUMENT.has(code)) result.refused.push({ line, problem: answer });
    else result.waiting.push(line);
  });
  return result;
}
