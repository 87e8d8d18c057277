import { packBlob } from "../code-blob.ts";
import { GENERATED_NAMES } from "../closure/generated-names.ts";
import type { CodeUnit } from "../code-unit.ts";
import { NodeKind, TAG_BITS } from "./graph-format.ts";
import { GraphWriter } from "./graph-writer.ts";

/** A class as it comes from elsewhere, made without a capture: for workers that rebuild one before there is need. */
export function rehearsalUnit(): CodeUnit {
  const writer = new GraphWriter();
  const id = "rehearsal/0";
  const text = "class Rehearsal {#count = 0; constructor(start) {this.#count = start + step; } increment() { return ++this.#count; } }";
  const edits = [
    { after: "Rehearsal {", text: `static{${GENERATED_NAMES.registerPrivate}(this,{"#count":[o=>o.#count,(o,v)=>{o.#count=v}]})}` },
    { after: "(start) {", text: `if(${GENERATED_NAMES.rebuilding}.on)return;` },
  ].map((edit) => {
    const at = text.indexOf(edit.after) + edit.after.length;
    return { start: at, end: at, text: edit.text };
  });
  const group = writer.groups.push({ url: "mantaray:rehearsal", isStrict: true }) - 1;
  const record = writer.functions.push({
    name: "Rehearsal", text, edits, form: "expression", kind: "class", line: 0, column: 0, displayFile: "mantaray:rehearsal", positions: null, usesImportMeta: false, usesImporter: false, isAsync: false, isGenerator: false,
    privateInstances: { constructorParameterCount: 1, isDerived: false }, group, scope: -1, slots: [{ to: "module", name: "step", scope: -1, isAssigned: false }], unitId: id,
  }) - 1;
  writer.beginNode(NodeKind.function, 0);
  for (const word of [record, 1, writer.numberCell(1)]) writer.word(word);
  const withoutExtension = 0;
  writer.word(withoutExtension);
  writer.word(withoutExtension);
  const { header, outOfBand } = writer.finish(0 << TAG_BITS, 1, []);
  const origin = { driverId: id, fileSystem: id };
  return { id, name: "Rehearsal", needs: [], descriptors: [], kind: "class", isAsync: false, isGenerator: false, where: "", blob: packBlob(header, outOfBand), origin };
}
