// docs/api.md: every exported name with its declaration and its docstring, from the rolled-up declarations.
import ts from 'typescript';

const sections = [
  { title: 'Functions', has: (node) => ts.isFunctionDeclaration(node) },
  { title: 'Classes', has: (node) => ts.isClassDeclaration(node) && !isError(node) },
  { title: 'Errors', has: (node) => ts.isClassDeclaration(node) && isError(node) },
  { title: 'Types', has: (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) },
];

const isError = (node) => node.name.text.endsWith('Error');

/**
 * @param {string} declarations the text of dist/index.d.ts
 * @returns {string} Markdown
 */
export function apiReferenceOf(declarations) {
  const source = ts.createSourceFile('index.d.ts', declarations, ts.ScriptTarget.Latest, true);
  const byName = new Map();
  for (const node of source.statements) {
    if (node.name === undefined) continue;
    const overloads = byName.get(node.name.text);
    if (overloads === undefined) byName.set(node.name.text, [node]);
    // A constant beside an interface of the same name says no more than that one may use `instanceof`.
    else if (node.kind === overloads[0].kind) overloads.push(node);
  }
  const lines = [
    '# API reference',
    '',
    'Every exported name with what its docstring says. Made from the declarations by `npm run api:update`.',
  ];
  for (const { title, has } of sections) {
    lines.push('', `## ${title}`);
    for (const nodes of byName.values()) if (has(nodes[0])) lines.push(...entryOf(nodes));
  }
  return `${lines.join('\n')}\n`;
}

function entryOf(nodes) {
  const lines = ['', `### ${nodes[0].name.text}`];
  for (const node of nodes) {
    const documentation = documentationOf(node);
    if (documentation !== '') lines.push('', documentation);
    lines.push('', '```ts', declarationOf(node), '```');
  }
  return lines;
}

function declarationOf(node) {
  const text = node.getText().replaceAll(/^export declare /gm, '');
  // Indented by two; a docstring's lines begin one further.
  return text.replaceAll(/^ +/gm, ({ length }) => ' '.repeat(Math.floor(length / 4) * 2 + (length % 4)));
}

function documentationOf(node) {
  const comments = ts.getJSDocCommentsAndTags(node).filter((item) => ts.isJSDoc(item));
  return comments
    .map((comment) => comment.getText().replace(/^\/\*\*\s?/, '').replace(/\s*\*\/$/, '').replaceAll(/^\s*\* ?/gm, ''))
    .join('\n')
    .trim()
    .replaceAll(/^@throws /gm, 'Throws ')
    .replaceAll(/^@(\w+) /gm, '*$1* ');
}
