// A reporter for node:test that tells scripts/run-tests.mjs, over file descriptor 3, what begins and how it ends.
// It listens and writes synchronously: a test that then hangs the process has already been named.
import { writeSync } from 'node:fs';
import { Transform } from 'node:stream';
import { inspect } from 'node:util';

const errorLinesMax = 60;

const eventsFileDescriptor = 3;

function send(event) {
  const line = Buffer.from(`${JSON.stringify(event)}\n`);
  for (let offset = 0; offset < line.length; ) {
    try {
      offset += writeSync(eventsFileDescriptor, line, offset);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/** The stacks of an error and of its causes. Its other fields repeat what the message says. */
function describe(error) {
  let current = error?.code === 'ERR_TEST_FAILURE' ? (error.cause ?? error) : error;
  const parts = [];
  while (parts.length < 5) {
    parts.push(current instanceof Error ? (current.stack ?? String(current)) : inspect(current, { depth: 4 }));
    if (!(current instanceof Error) || current.cause === undefined) break;
    current = current.cause;
  }
  const lines = parts.join('\ncaused by: ').split('\n');
  if (lines.length <= errorLinesMax) return lines.join('\n');
  return [...lines.slice(0, errorLinesMax), `… ${lines.length - errorLinesMax} more lines`].join('\n');
}

function sendEnd(type, data) {
  const failed = type === 'test:fail';
  const { error, type: kind } = data.details;
  send({
    type: 'end',
    name: data.name,
    nesting: data.nesting,
    isSuite: kind === 'suite',
    outcome: failed && data.todo === undefined ? 'failed' : data.skip === undefined ? 'passed' : 'skipped',
    // A suite fails with its tests; those have been counted already.
    isOwnFailure: error?.failureType !== 'subtestsFailed' && !(kind === 'suite' && error?.failureType === 'cancelledByParent'),
    error: failed ? describe(error) : null,
  });
}

// node:test pipes its stream of events into a reporter. Reading them in turn would be too late for a test that
// never gives the event loop back, so this reporter listens to the source, which emits each at its moment.
export default new Transform({
  objectMode: true,
  transform: (_event, _encoding, next) => next(),
  flush(done) {
    send({ type: 'complete' });
    done();
  },
}).once('pipe', (source) => {
  source.on('test:dequeue', ({ name, nesting }) => send({ type: 'begin', name, nesting }));
  for (const type of ['test:pass', 'test:fail']) source.on(type, (data) => sendEnd(type, data));
});
