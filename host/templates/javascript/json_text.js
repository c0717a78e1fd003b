// JSON as text: laid out and compared without deciding what a number is. There is no need to edit it.

// JSON text, as it was submitted.
export class Json {
  constructor(text) {
    this.text = text;
  }
}

// An entry is at most 64 deep. What is deeper equals none, and would exhaust the sandbox's stack.
const DEEPEST = 100;

const STRUCTURE = '{}[],:';
const SPACE = ' \t\n\r';
const ENDS = `"${STRUCTURE}${SPACE}`;

// The tokens of a text: strings with their quotes, brackets, commas, colons, numbers and words; without the white space.
//
// Not by a regular expression: the sandbox's are slow, and every step costs fuel.
function tokensOf(text) {
  const tokens = [];
  let at = 0;
  let depth = 0;
  while (at < text.length) {
    const first = text[at];
    let end = at + 1;
    if (first === '"') {
      end = endOfString(text, at);
    } else if (!STRUCTURE.includes(first) && !SPACE.includes(first)) {
      while (end < text.length && !ENDS.includes(text[end])) end += 1;
    }
    if (first === '{' || first === '[') depth += 1;
    if (first === '}' || first === ']') depth -= 1;
    if (depth > DEEPEST) throw new SyntaxError('nested too deeply');
    if (!SPACE.includes(first)) tokens.push(text.slice(at, end));
    at = end;
  }
  return tokens;
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
  const tokens = tokensOf(text);
  const parts = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === '{' || token === '[') {
      if (tokens[at + 1] === '}' || tokens[at + 1] === ']') {
        at += 1;
        parts.push(token + tokens[at]);
      } else {
        line += '  ';
        parts.push(token + line);
      }
    } else if (token === '}' || token === ']') {
      line = line.slice(0, -2);
      parts.push(line + token);
    } else if (token === ',') {
      parts.push(',' + line);
    } else {
      parts.push(token === ':' ? ': ' : token);
    }
  }
  return parts.join('');
}

// Whether two objects are equal but for one member of theirs: order of members ignored, strings compared decoded, numbers as they
// were written. What is not a JSON object equals nothing.
export function same(one, other, butFor) {
  try {
    return canonical(one, butFor) === canonical(other, butFor);
  } catch {
    return false;
  }
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
