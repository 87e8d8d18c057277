export type { CodeUnit } from "./code-unit.ts";
export type { EncodedFormat, EncodedValue, RuntimeObjects } from "./encoded-value.ts";
export { rehearsalUnit } from "./graph/rehearsal-unit.ts";
export { Serializer } from "./serializer.ts";
export type { SerializerOptions } from "./serializer.ts";
export { cleanStack, installStackMapping, placesOf, programPlaces, type StackPlace } from "./stack/stack-mapping.ts";
