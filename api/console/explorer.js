// Links to a block explorer of the cluster that this server follows. A localnet is on no explorer, so there
// the links do not exist; until the cluster is known they are hidden.

import { read } from "./api.js";
import { el } from "./dom.js";
import { short } from "./format.js";

const EXPLORER = "https://explorer.solana.com";
/** Cluster of /health -> the query that the explorer expects. */
const QUERIES = { mainnet: "", devnet: "?cluster=devnet" };

let query = null;
let asked = null;

/** Ask once which cluster this is; after a failure the next link asks again. */
function findQuery() {
  asked ??= read("/health").then(
    ({ environment }) => (query = QUERIES[environment] ?? null),
    () => {
      asked = null;
      return null;
    },
  );
  return asked;
}

/** A link to a transaction. */
export const transactionLink = (signature) => link("tx", signature, "Transaction");

/** A link to an account: a wallet or a market. */
export const accountLink = (address) => link("address", address, "Account");

function link(kind, key, noun) {
  const name = `${noun} ${short(key)} in the explorer`;
  const node = el("a", { class: "explorer", target: "_blank", rel: "noreferrer noopener", title: name, "aria-label": name, hidden: true }, "↗");
  const open = (found) => {
    if (found === null) return;
    node.href = `${EXPLORER}/${kind}/${key}${found}`;
    node.hidden = false;
  };
  if (query === null) findQuery().then(open);
  else open(query);
  return node;
}
