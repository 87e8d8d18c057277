import { parse } from 'acorn';

/**
 * A module of ES code without its comments. Every thread holds the text of all that it runs: what nobody reads there is a tenth of
 * it, and one character beyond Latin-1 doubles the rest.
 */
export function withoutComments(code) {
  const comments = [];
  parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true, onComment: comments });
  let kept = '';
  let from = 0;
  for (const { start, end, value } of comments) {
    // Which source a part was made of, and what runs a command.
    if (/^ (?:src|node_modules)\//.test(value) || (start === 0 && code.startsWith('#!'))) continue;
    const lineStart = code.lastIndexOf('\n', start - 1) + 1;
    const isAlone = code[end] === '\n' && code.slice(lineStart, start).trim() === '';
    kept += code.slice(from, isAlone ? lineStart : start);
    from = isAlone ? end + 1 : end;
  }
  return kept + code.slice(from);
}
