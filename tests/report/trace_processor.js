// Perfetto's trace processor, as its page runs it (a worker script and WebAssembly), as a filter: RPC requests come on
// standard input, answers go to standard output. Argument: the worker script; the WebAssembly lies beside it.
const fs = require("fs");
const path = require("path");
const node = process;
const worker = node.argv[2];

globalThis.self = globalThis;
globalThis.WorkerGlobalScope = class {};
globalThis.location = { href: `file://${worker}` };
console.log = console.warn = console.error;
globalThis.XMLHttpRequest = class {
  open(_method, url) {
    this.file = path.join(path.dirname(worker), path.basename(url));
  }
  send() {
    const bytes = fs.readFileSync(this.file);
    this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    this.status = 200;
  }
};
delete globalThis.process; // the script is built for workers, and refuses where it finds Node

(0, eval)(fs.readFileSync(worker, "utf8"));

function answer(bytes) {
  for (let sent = 0; sent < bytes.length; ) sent += fs.writeSync(1, bytes, sent);
}

const port = { postMessage: answer };
self.onmessage({ data: port });
// The processor is ready in the turn after it was started.
setTimeout(() => node.stdin.on("data", (data) => port.onmessage({ data: new Uint8Array(data) })), 0);
