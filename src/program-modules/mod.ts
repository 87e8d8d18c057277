export { compareFileSystem, fileSystemIdentity } from "./file-system-identity.ts";
export { answerAboutModules, placeModules } from "./loaded-when-needed.ts";
export type { ModulePlacerSettings, Placement } from "./module-placer.ts";
export { ModuleTrees } from "./module-trees.ts";
