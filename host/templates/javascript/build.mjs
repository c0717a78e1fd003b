// Makes FILE.wasm of the sources: one bundle, and of that a component. There is no need to edit it.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';

const BUNDLE = 'bundle.js';
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const bundle = await rolldown({ input: 'app.js', external: /^chiffon:audit\// });
await bundle.write({ file: BUNDLE, format: 'esm', sourcemap: true });
const { sources, mappings } = JSON.parse(readFileSync(`${BUNDLE}.map`, 'utf8'));

// For each line of the bundle the file and line that its first part comes from, so that a trace names the sources.
let [file, line] = [0, 0];
const lines = mappings.split(';').map((segments) => {
  const places = segments.split(',').filter(Boolean).map((segment) => {
    const [, files, lines] = numbers(segment);
    file += files ?? 0;
    line += lines ?? 0;
    return [sources[file], line + 1];
  });
  return places[0] ?? null;
});
const table = `globalThis.sourceLines = ${JSON.stringify(lines)};\n`;
writeFileSync(BUNDLE, `${readFileSync(BUNDLE, 'utf8').replace(/\/\/# sourceMappingURL=.*\n?/, '')}\n${table}`);

const options = ['--backend', 'qjs', '--backend-qjs-stub-wasi', '--backend-qjs-disable-async'];
execFileSync('jco', ['componentize', BUNDLE, '--wit', 'wit', '--world-name', 'policy', ...options, '-o', 'FILE.wasm'], {
  stdio: 'inherit',
});

// The numbers of a segment of a source map: base 64, five bits a digit, the lowest bit of each number its sign.
function numbers(segment) {
  const found = [];
  let [value, shift] = [0, 0];
  for (const character of segment) {
    const digit = DIGITS.indexOf(character);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    found.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return found;
}
