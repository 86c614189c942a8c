// Decodes every delivery of a file once for each line on standard input, and prints the time it took.
//
//   node decode.mjs IDL PROGRAM FILE      FILE contains one JSON array of raw webhook items per line
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { reader } from "./events.mjs";

const [idlFile, programId, file] = process.argv.slice(2);
const read = reader(idlFile, programId);
const text = readFileSync(file);
const bodies = [];
for (let start = 0, end; (end = text.indexOf(10, start)) !== -1; start = end + 1) bodies.push(text.subarray(start, end));

function once() {
  let events = 0;
  const began = process.hrtime.bigint();
  for (const body of bodies) {
    for (const transaction of JSON.parse(body.toString())) events += read(transaction).length;
  }
  return { seconds: Number(process.hrtime.bigint() - began) / 1e9, events };
}

console.log(JSON.stringify({ ready: true, bodies: bodies.length }));
for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(once()));
