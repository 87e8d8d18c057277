import { FaultDecisions, openMessageLink, parseFaults, withFaults } from "../clients/mod.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";

const VARIABLE = "MANTARAY_TESTING_FAULTS";

/** How this process opens its links to nodes and to the GCS: with the faults that it is told to have, if any. @throws InvalidArgumentError. */
export function linkOpener(environment: NodeJS.ProcessEnv): typeof openMessageLink {
  const text = environment[VARIABLE];
  if (text === undefined || text === "") return openMessageLink;
  const decisions = new FaultDecisions(parseFaults(text, `the environment variable ${VARIABLE}`), realRandom);
  return (channel) => withFaults(openMessageLink(channel), decisions, realClock);
}
