//! Tests the playground: builds it, and uses it in Chromium from the disk, and in Node without a browser. A machine without a
//! compiler for WebAssembly, Node, Chromium or the npm registry skips the tests; with CI set, these fail.

mod examples;
mod page;
mod program;
mod tools;
