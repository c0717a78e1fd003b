// Made by scripts/types.mjs of the service's description. Do not edit.

/** An outcome document. */
export type Outcome = {
  dispatch_info?: DispatchInfo;
  execution_result?: {
    end_time?: string | null;
    outcome?: unknown;
    resources_used?: unknown;
    services_touched?: Array<string> | null;
    start_time?: string | null;
  } | null;
  metadata?: Record<string, unknown> | null;
  plan_id?: string | null;
  plan_steps?: Array<string> | null;
  status: "completed" | "failed" | "rejected" | "cancelled";
  task_id: string;
};

/** Where a task is dispatched. */
export type DispatchInfo = {
  agent_id?: string | null;
  agent_pool?: string | null;
  dispatch_timestamp?: string | null;
} | null;

/** What is known about a task before its result. */
export type PlannedTask = {
  dispatch_info?: DispatchInfo;
  metadata?: Record<string, unknown> | null;
  plan_id?: string | null;
  plan_steps?: Array<string> | null;
  services_touched?: Array<string> | null;
  start_time?: string | null;
  task_id: string;
};

/** The result of a task. `duration_ms` and `exit_code` are given once: here, or in `resources_used`. */
export type WorkResult = {
  agent_id?: string | null;
  duration_ms?: number | null;
  error_message?: string | null;
  exit_code?: number | null;
  output?: unknown;
  request_id?: string | null;
  resources_used?: Record<string, unknown> | null;
  status: "completed" | "failed" | "rejected" | "cancelled";
  task_id: string;
  trace_id?: string | null;
};

/** The receipt of a submission that is durable in the store. */
export type Receipt = Standing & {
  /** The submission is durable in the store, and so is certain to be committed, kept as a conflict or refused by the policy. False only beside a problem: the document was refused, and is kept as such. */
  accepted: boolean;
  /** An earlier submission that finished the task seems to differ. The policy decides. */
  differs: boolean;
  /** Pointers to values of the document that were repaired before it was accepted. */
  repaired?: Array<string>;
  /** The same submission was accepted before. */
  repeated: boolean;
  schema: number;
  /** The submission's number among all submissions. */
  sequence: number;
  /** Pointers to texts that were shortened. */
  shortened?: Array<string>;
  /** The task's id. */
  task_id: string;
};

/** The current state of a submission. */
export type Standing = {
  /** The cause, as a word for programs; `refused` if it was refused, whatever the cause. */
  cause?: string | null;
  /** The commit that added the entry. */
  commit?: string | null;
  /** What is wrong with a refused submission, by field. */
  errors?: Array<FieldError>;
  /** The entry's path in the trail. */
  path?: string | null;
  /** The reason, as a sentence for people. */
  reason?: string | null;
  /** The full name of the trail's ref, once the entry is committed. */
  ref?: string | null;
  /** The cause of a refusal in the words of all other answers, such as `document` or `policy-refused`. Submissions that were refused by a version before this member have none. */
  refusal?: string | null;
  /** `unavailable` if the commit could not be signed. */
  signature?: string | null;
  /** `pending`, `committed`, `conflicting`, `refused` or `blocked`. */
  state: string;
};

/** One field and what is wrong with it. */
export type FieldError = {
  /** What is wrong, without quoting a value. */
  detail: string;
  /** The name of a query parameter. */
  parameter?: string | null;
  /** A JSON pointer (RFC 6901) into the body; empty for the whole body. */
  pointer?: string | null;
};

/** A problem document. Members are added, never changed. */
export type Problem = {
  /** Details of this problem, as a sentence. */
  detail?: string | null;
  /** What is wrong with the document, by field. */
  errors?: Array<FieldError>;
  receipt?: Receipt | null;
  /** The HTTP status. */
  status: number;
  /** The kind of problem, as a sentence. */
  title: string;
  /** `urn:chiffon-audit:problem:` followed by a word for programs. */
  type: string;
};
