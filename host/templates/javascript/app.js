// Performs what policy.js decides: reads the task's entry, stages a new one, asks for its commit. There is no need to edit it.

import { now as clockNow } from 'chiffon:audit/clock@0.1.0';
import { get } from 'chiffon:audit/config@0.1.0';
import { read, writeNew } from 'chiffon:audit/filesystem@0.1.0';
import { commit } from 'chiffon:audit/git@0.1.0';

import { report } from './console.js';
import { Json, differences, format } from './json_text.js';
import { entry as makeEntry, same } from './policy.js';
import { decode, encode } from './utf8.js';

// The host answers null where a setting is not given.
const setting = (key) => get(key) ?? undefined;

export const recorder = {
  commitTaskOutcome(outcome) {
    try {
      return decide(outcome);
    } catch (error) {
      // An answer of the policy's, and no failure.
      if (typeof error?.tag === 'string') throw error;
      // The call fails, and the host tells the last line of what is logged here.
      report(error);
      throw error;
    }
  },
};

function decide(outcome) {
  const path = `.audit/tasks/${outcome.taskId}.json`;
  const existing = attempt("could not read the task's entry", () => read(path));
  const now = timestamp();
  const seen = view(outcome);
  const made = makeEntry(seen, now, setting);
  if (Array.isArray(made)) throw { tag: 'refused', val: made };
  const entry = format(made);
  if (existing != null) {
    if (saysTheSame(entry, existing)) return 'already-recorded';
    throw { tag: 'conflicting', val: conflict(entry, existing) };
  }
  attempt("could not stage the task's entry", () => writeNew(path, encode(entry)));
  attempt('could not ask for the commit', () => commit(`audit: task ${seen.task_id} ${seen.status} at ${now}`));
  return 'committed';
}

// Names where two entries differ, apart from the time of recording, and quotes no value of either.
function conflict(entry, existing) {
  let places;
  try {
    places = differences(entry, decode(existing), 'timestamp');
  } catch {
    return "the task's entry on the trail is not a JSON object";
  }
  const where = places.length > 0 ? `differs in ${places.join(', ')}` : 'says something else';
  return (
    `the task has an entry that ${where}; a task that is tried again is a task of its own ` +
    '(such as `deploy-42.2` with `metadata.attempt_of`)'
  );
}

// Calls the host; what it turns down becomes this policy's answer.
function attempt(what, call) {
  try {
    return call();
  } catch (error) {
    const cause = error?.payload ?? error;
    if (cause?.tag === 'too-large') {
      const message = `the entry would be larger than the limit of ${cause.val} bytes`;
      throw { tag: 'refused', val: [{ pointer: '', message }] };
    }
    throw { tag: 'unavailable', val: `${what}: ${cause?.val ?? cause?.tag ?? cause}` };
  }
}

function saysTheSame(entry, existing) {
  let text;
  try {
    text = decode(existing);
  } catch {
    return false;
  }
  return same(entry, text);
}

// The time of recording: RFC 3339, UTC, six fractional digits and `Z`.
function timestamp() {
  const { seconds, nanoseconds } = clockNow();
  let text;
  try {
    text = new Date(Number(seconds) * 1000).toISOString();
  } catch {
    throw { tag: 'unavailable', val: 'the clock shows a time that cannot be written' };
  }
  const micros = String(Math.floor(nanoseconds / 1000)).padStart(6, '0');
  return `${text.slice(0, text.lastIndexOf('.'))}.${micros}Z`;
}

// The outcome in the order of an entry's members.
function view(outcome) {
  const { dispatchInfo: dispatch, executionResult: result, status } = outcome;
  return {
    task_id: outcome.taskId,
    status: status.tag === 'other' ? status.val : status.tag,
    plan_id: outcome.planId ?? null,
    plan_steps: outcome.planSteps,
    dispatch_info: {
      agent_pool: dispatch.agentPool ?? null,
      agent_id: dispatch.agentId ?? null,
      dispatch_timestamp: dispatch.dispatchTimestamp ?? null,
    },
    execution_result: {
      outcome: new Json(result.outcome),
      resources_used: new Json(result.resourcesUsed),
      services_touched: result.servicesTouched,
      start_time: result.startTime ?? null,
      end_time: result.endTime ?? null,
    },
    ...(outcome.metadata == null ? {} : { metadata: new Json(outcome.metadata) }),
  };
}
