import { InvalidArgumentError, type NodeId } from "../base/mod.ts";
import { whyNoLabelKey, whyNoLabelValue } from "./label-selector.ts";

/** Keys that begin so are of labels that every node has by itself. */
const OWN_PREFIX = "mantaray.io/";

const NODE_ID_LABEL = `${OWN_PREFIX}node-id`;
const ACCELERATOR_TYPE_LABEL = `${OWN_PREFIX}accelerator-type`;

/** `acceleratorType`: of its GPUs, null where that is not known. */
export function labelsOfNode(given: Readonly<Record<string, string>>, nodeId: NodeId, acceleratorType: string | null): Record<string, string> {
  return { [NODE_ID_LABEL]: nodeId, ...(acceleratorType === null ? {} : { [ACCELERATOR_TYPE_LABEL]: acceleratorType }), ...given };
}

/**
 * `where` names what was given: "option 'labels' of init()".
 *
 * @throws InvalidArgumentError for labels that no selector could name, and for those that a node has by itself.
 */
export function checkNodeLabels(labels: Readonly<Record<string, string>>, where: string): void {
  for (const [key, value] of Object.entries(labels)) {
    const wrong = whyNoLabelKey(key) ?? whyNoLabelValue(value);
    if (wrong !== null) throw new InvalidArgumentError(`${where}: ${wrong}`);
    if (key.startsWith(OWN_PREFIX)) throw new InvalidArgumentError(`${where}: '${key}' cannot be given, since keys in ${OWN_PREFIX} are those of labels that every node has by itself; choose another name`);
  }
}
