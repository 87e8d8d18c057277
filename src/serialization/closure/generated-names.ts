/** Names in generated code that no user's text contains. */
export const GENERATED_NAMES = {
  importMeta: "__mantaray_import_meta",
  importer: "__mantaray_import",
  heritage: "__mantaray_heritage",
  memberKey: "__mantaray_key_",
  registerPrivate: "__mantaray_register_private",
  rebuilding: "__mantaray_rebuilding",
  /**
   * In a hydrated script, the variable that marks the scope of a module's top-level variables. Its value tells
   * functions of one module from those of another.
   */
  moduleState: "__mantaray_module",
} as const;
