// Sends what a policy prints to the operator's log, and says where a policy failed. There is no need to edit it.

import { write } from 'chiffon:audit/log@0.1.0';

const text = (value) => {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
};

const printer = (level) => (...values) => {
  for (const line of values.map(text).join(' ').split('\n')) write(level, line);
};

globalThis.console = {
  trace: printer('trace'),
  debug: printer('debug'),
  log: printer('info'),
  info: printer('info'),
  warn: printer('warn'),
  error: printer('warn'),
};

// A place in the bundle as a file and line of the sources; build.mjs writes the table.
function source(bundled) {
  const [file, line] = globalThis.sourceLines?.[bundled - 1] ?? ['bundle.js', bundled];
  return `${file}, line ${line}`;
}

// Logs where an error was thrown. The last line is what the caller is told.
export function report(error) {
  let place = 'an unknown place';
  const steps = [...String(error?.stack ?? '').matchAll(/^ *at (.*?) \(?\/?bundle\.js:(\d+)/gm)];
  if (steps.length > 0) place = source(Number(steps[0][2]));
  for (const [, name, line] of steps) write('warn', `  ${source(Number(line))}, in ${name}`);
  write('error', `${error instanceof Error ? error : text(error)} (${place})`);
}
