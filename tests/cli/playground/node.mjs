// Calls the WebAssembly of the playground without a browser: `node.mjs PAGE MEMBER`. Each line of standard input is a request of
// docs/playground/src/request.rs. Each line of standard output is a member of the judgement.
import fs from "node:fs";
import readline from "node:readline";
import zlib from "node:zlib";

const [, , page, member] = process.argv;
const [, zipped] = /id="wasm">([^<]+)</.exec(fs.readFileSync(page, "utf8"));
const { instance } = await WebAssembly.instantiate(zlib.gunzipSync(Buffer.from(zipped, "base64")), {});
const { memory, input, judge, output } = instance.exports;

for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const bytes = Buffer.from(line);
  const at = input(bytes.length);
  new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
  const length = judge();
  const judgement = JSON.parse(Buffer.from(memory.buffer, output(), length).toString());
  if (!process.stdout.write(`${JSON.stringify(judgement[member])}\n`)) {
    await new Promise((drained) => process.stdout.once("drain", drained));
  }
}
