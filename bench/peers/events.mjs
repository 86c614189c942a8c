// From the bytes of a webhook delivery to events, by Anchor's own TypeScript client.
import { readFileSync } from "node:fs";
import anchor from "@coral-xyz/anchor";

const { BorshCoder, EventParser, web3 } = anchor;

export function reader(idlFile, programId) {
  const idl = JSON.parse(readFileSync(idlFile, "utf8"));
  const parser = new EventParser(new web3.PublicKey(programId), new BorshCoder({ ...idl, address: programId }));
  // A failed transaction has no effects; its log is not looked at.
  return (transaction) => (transaction.meta.err === null ? [...parser.parseLogs(transaction.meta.logMessages)] : []);
}
