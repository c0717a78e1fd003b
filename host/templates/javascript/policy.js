// The policy: what an entry says, and what counts as the same. This is the file to edit.
//
// Pure: for the same arguments the same answer. Everything that touches the trail is in app.js.

import { same as sameJson } from './json_text.js';

// The entry of an outcome that is recorded at `now`: an object in the order in which it is written; or an array of violations,
// each `{pointer, message}`.
//
// `outcome` has the outcome's members; JSON of any form in it is a `Json`, its numbers as they were written. `settings(key)` is a
// setting of the operator's, or undefined. The host requires `task_id`, `status` and `timestamp` to be the outcome's and `now`.
// Called on its own entry, at that entry's time, it must make the same bytes again. Throw `unavailable` of answers.js where the outcome
// cannot be recorded now. What `console.log` prints goes to the operator's log.
export function entry(outcome, now, settings) {
  const violations = [];
  // A rule as an example: the setting `require_plan=true` turns down what belongs to no plan.
  if (settings('require_plan') === 'true' && outcome.plan_id === null) {
    violations.push({ pointer: '/plan_id', message: 'must be given' });
  }
  return violations.length > 0 ? violations : { ...outcome, timestamp: now };
}

// Whether the entry that the trail holds for this task says the same as the one that would be made now. Both are text.
export function same(entry, existing) {
  return sameJson(entry, existing, 'timestamp');
}
