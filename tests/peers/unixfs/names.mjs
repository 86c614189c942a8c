// Computes the CIDs of files with another implementation of the profile unixfs-v0-2015.
// stdin: [{path, chunk_bytes}, ...]; stdout: the CIDv0 and the CIDv1 of each.
import { readFileSync } from 'node:fs';
import { importBytes } from 'ipfs-unixfs-importer';
import { balanced } from 'ipfs-unixfs-importer/layout';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';

const nowhere = { async put(cid) { return cid; } };
const names = [];
for (const { path, chunk_bytes } of JSON.parse(readFileSync(0, 'utf8'))) {
  const { cid } = await importBytes(readFileSync(path), nowhere, {
    cidVersion: 0,
    rawLeaves: false,
    reduceSingleLeafToSelf: true,
    chunker: fixedSize({ chunkSize: chunk_bytes }),
    layout: balanced({ maxChildrenPerNode: 174 }),
  });
  names.push([cid.toString(), cid.toV1().toString()]);
}
console.log(JSON.stringify(names));
