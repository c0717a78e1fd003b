// JSON as text: laid out and compared without deciding what a number is. There is no need to edit it.

// JSON text, as it was submitted.
export class Json {
  constructor(text) {
    this.text = text;
  }
}

// A string, a bracket, comma or colon, or a number or word. What is between them is white space.
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

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
  const tokens = text.match(TOKEN) ?? [];
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
  JSON.parse(text);
  if (!text.trimStart().startsWith('{')) throw new SyntaxError('not an object');
  const tokens = text.match(TOKEN).reverse();
  return value(tokens, butFor);
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
