// The same suite, on three nodes.
process.env["MANTARAY_TEST_NODES"] = "3";
await import("../conformance/actors.test.ts");
