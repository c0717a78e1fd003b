// JSON as text: laid out and compared without deciding what a number is. There is no need to edit it.

// JSON text, as it was submitted.
export class Json {
  constructor(text) {
    this.text = text;
  }
}

// An entry is at most 64 deep. What is deeper equals none, and would exhaust the sandbox's stack.
const DEEPEST = 100;

// Characters by their codes: a step on a number costs a fraction of one on a string, and every step costs fuel. For the same reason
// there is no regular expression here; the sandbox's are slow.
const [COMMA, COLON, QUOTE, LEFT, RIGHT, OPEN, CLOSE] = Array.from(',:"[]{}', (character) => character.charCodeAt(0));
const ENDS = new Set([COMMA, COLON, QUOTE, LEFT, RIGHT, OPEN, CLOSE]);
const HIGHEST_SPACE = 32;

// The tokens of a text: strings with their quotes, brackets, commas, colons, numbers and words; without the white space.
function tokensOf(text) {
  const tokens = [];
  const { length } = text;
  let depth = 0;
  for (let at = 0; at < length; ) {
    const code = text.charCodeAt(at);
    if (code <= HIGHEST_SPACE) {
      at += 1;
      continue;
    }
    if (code === OPEN || code === LEFT) {
      depth += 1;
      if (depth > DEEPEST) throw new SyntaxError('nested too deeply');
    } else if (code === CLOSE || code === RIGHT) {
      depth -= 1;
    }
    const end = endOfToken(text, at, code);
    tokens.push(text.slice(at, end));
    at = end;
  }
  return tokens;
}

function endOfToken(text, start, first) {
  if (first === QUOTE) return endOfString(text, start);
  if (ENDS.has(first)) return start + 1;
  let end = start + 1;
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (code <= HIGHEST_SPACE || ENDS.has(code)) break;
  }
  return end;
}

function endOfString(text, start) {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

// Writes a value: two-space indent, numbers in `Json` as they were written, a newline at the end.
export function format(value) {
  return write(value, '\n') + '\n';
}

function write(value, line) {
  if (value instanceof Json) return layOut(value.text, line);
  if (Array.isArray(value)) return container('[', value.map((item) => write(item, line + '  ')), ']', line);
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).filter(([, item]) => item !== undefined);
    return container('{', members.map(([key, item]) => `${JSON.stringify(key)}: ${write(item, line + '  ')}`), '}', line);
  }
  return JSON.stringify(value);
}

function container(opening, items, closing, line) {
  if (items.length === 0) return opening + closing;
  return opening + items.map((item) => `${line}  ${item}`).join(',') + line + closing;
}

function layOut(text, line) {
  const parts = [];
  const { length } = text;
  let comma = ',' + line;
  for (let at = 0; at < length; ) {
    const code = text.charCodeAt(at);
    if (code === COMMA) {
      parts.push(comma);
      at += 1;
    } else if (code === COLON) {
      parts.push(': ');
      at += 1;
    } else if (code <= HIGHEST_SPACE) {
      at += 1;
    } else if (code === OPEN || code === LEFT) {
      const next = afterSpace(text, at + 1);
      const closing = text.charCodeAt(next);
      if (closing === CLOSE || closing === RIGHT) {
        parts.push(code === OPEN ? '{}' : '[]');
        at = next + 1;
      } else {
        line += '  ';
        comma = ',' + line;
        parts.push((code === OPEN ? '{' : '[') + line);
        at = next;
      }
    } else if (code === CLOSE || code === RIGHT) {
      line = line.slice(0, -2);
      comma = ',' + line;
      parts.push(line + (code === CLOSE ? '}' : ']'));
      at += 1;
    } else {
      const end = endOfToken(text, at, code);
      parts.push(text.slice(at, end));
      at = end;
    }
  }
  return parts.join('');
}

function afterSpace(text, at) {
  while (text.charCodeAt(at) <= HIGHEST_SPACE) at += 1;
  return at;
}

// How many places of a difference are named, and how long a name may be.
const NAMED = 10;
const LONGEST_NAME = 256;

// Where two objects differ but for one member of theirs, as JSON pointers; the first ten. Throws where one is no JSON object.
export function differences(one, other, butFor) {
  const places = [];
  const [ours, theirs] = [one, other].map((text) => {
    const value = readExactly(text);
    if (!(value instanceof Map)) throw new SyntaxError('not an object');
    value.delete(butFor);
    return value;
  });
  compare(ours, theirs, '', places);
  return places.map((place) => (place.length <= LONGEST_NAME ? place : `${place.slice(0, LONGEST_NAME)}…`));
}

function compare(one, other, place, places) {
  if (places.length >= NAMED) return;
  if (one instanceof Map && other instanceof Map) {
    for (const key of [...new Set([...one.keys(), ...other.keys()])].sort()) {
      const below = `${place}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (one.has(key) && other.has(key)) compare(one.get(key), other.get(key), below, places);
      else if (places.length < NAMED) places.push(below);
    }
  } else if (Array.isArray(one) && Array.isArray(other) && one.length === other.length) {
    one.forEach((item, index) => compare(item, other[index], `${place}/${index}`, places));
  } else if (one instanceof Map || other instanceof Map || String(one) !== String(other) || Array.isArray(one) !== Array.isArray(other)) {
    places.push(place);
  }
}

// A text as maps, arrays and tokens: numbers as they were written, strings escaped in one way.
function readExactly(text) {
  const tokens = tokensOf(text);
  // For the grammar.
  JSON.parse(text);
  return exactly(tokens.reverse());
}

function exactly(tokens) {
  const token = tokens.pop();
  if (token === '[') {
    const items = [];
    while (tokens.at(-1) !== ']') {
      if (tokens.at(-1) === ',') tokens.pop();
      items.push(exactly(tokens));
    }
    tokens.pop();
    return items;
  }
  if (token === '{') {
    const members = new Map();
    while (tokens.at(-1) !== '}') {
      if (tokens.at(-1) === ',') tokens.pop();
      const key = JSON.parse(tokens.pop());
      tokens.pop();
      members.set(key, exactly(tokens));
    }
    tokens.pop();
    return members;
  }
  return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
}

// Whether two objects are equal but for one member of theirs: order of members ignored, strings compared decoded, numbers as they
// were written. What is not a JSON object equals nothing.
export function same(one, other, butFor) {
  // Written by the same hand, that member last, as entries are: nothing needs to be taken apart.
  const before = beforeLast(one, butFor);
  if (before !== undefined && before === beforeLast(other, butFor)) return true;
  try {
    return canonical(one, butFor) === canonical(other, butFor);
  } catch {
    return false;
  }
}

// What stands before the last member of an object that `format` wrote, if that is this one and a string.
function beforeLast(text, name) {
  const at = text.lastIndexOf(`\n  "${name}": "`);
  return at !== -1 && /^[^"\\]*"\n}\n$/.test(text.slice(at + name.length + 8)) ? text.slice(0, at) : undefined;
}

function canonical(text, butFor) {
  const tokens = tokensOf(text);
  if (tokens[0] !== '{') throw new SyntaxError('not an object');
  // For the grammar.
  JSON.parse(text);
  return value(tokens.reverse(), butFor);
}

// The next value among the tokens, its members sorted and its strings escaped in one way.
function value(tokens, butFor) {
  const token = tokens.pop();
  if (token === '[') {
    const items = [];
    while (tokens.at(-1) !== ']') {
      if (tokens.at(-1) === ',') tokens.pop();
      items.push(value(tokens));
    }
    tokens.pop();
    return `[${items.join(',')}]`;
  }
  if (token === '{') {
    const members = [];
    while (tokens.at(-1) !== '}') {
      if (tokens.at(-1) === ',') tokens.pop();
      const key = JSON.parse(tokens.pop());
      tokens.pop();
      const member = `${JSON.stringify(key)}:${value(tokens)}`;
      if (key !== butFor) members.push(member);
    }
    tokens.pop();
    return `{${members.sort().join(',')}}`;
  }
  return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
}
