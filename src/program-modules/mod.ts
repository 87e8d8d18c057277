export { compareFileSystem, fileSystemIdentity } from "./file-system-identity.ts";
export { addToTree, answerAboutModules, contentsOfTree, placeModules } from "./loaded-when-needed.ts";
export type { ModulePlacerSettings, Placement } from "./module-placer.ts";
export { ModuleTrees, moduleTreeOf } from "./module-trees.ts";
export type { TreeEntry } from "./tree-contents.ts";
