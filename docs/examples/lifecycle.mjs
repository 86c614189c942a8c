// Sends a market's transactions from proposal to end with Anchor and follows its events through the API, as a frontend does.
//
//   make up                                                              (in the project's folder, in another terminal)
//   cd bench/peers && npm ci && node ../../docs/examples/lifecycle.mjs
//
// It opens a stream, creates a market on the development chain, takes it through every step up to the withdrawal, and
// prints each event that the stream delivers. Then it compares GET /api/markets/{id} with the account on chain. The exit
// status is 0 if both agree and every step was received; otherwise it prints the differences.
//
//   API_URL           address of the API: http://127.0.0.1:4000 (or API_PORT there)
//   SOLANA_RPC_URL    the development chain: http://127.0.0.1:8899 (or DEVCHAIN_PORT there)
//   SOLANA_WS_URL     its WebSocket, one port above unless set
//   ZMART_STATE_DIR   folder with the keys of the admin and the backend authority: .state
//   WARP=0            wait for the end of the dispute period instead of moving the chain's clock past it
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { randomBytes } from "node:crypto";
import path from "node:path";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { API_PORT = 4000, DEVCHAIN_PORT = 8899 } = process.env;
const API = process.env.API_URL ?? `http://127.0.0.1:${API_PORT}`;
const RPC = process.env.SOLANA_RPC_URL ?? `http://127.0.0.1:${DEVCHAIN_PORT}`;
const KEYS = path.resolve(ROOT, process.env.ZMART_STATE_DIR ?? ".state", "devchain", "keys");
// Long, because a new chain has an hour of history, which the API receives before any new event.
const TIMEOUT_MS = 120_000;

const { AnchorProvider, BN, Program, Wallet, web3 } = anchor();
const idl = JSON.parse(readFileSync(path.join(ROOT, "zmart", "chain", "idl", "zmart_core.json")));
const connection = new web3.Connection(RPC, { commitment: "confirmed", wsEndpoint: process.env.SOLANA_WS_URL });
const SOL = web3.LAMPORTS_PER_SOL;

function anchor() {
  try {
    // Packages are those of the folder in which this was started.
    return createRequire(process.cwd() + path.sep)("@coral-xyz/anchor");
  } catch {
    return fail("@coral-xyz/anchor is not here. Run: cd bench/peers && npm ci && node ../../docs/examples/lifecycle.mjs");
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const short = (text) => `${text.slice(0, 4)}..${text.slice(-4)}`;
const sol = (lamports) => `${Number(lamports) / SOL} SOL`;

// --- The stream -----------------------------------------------------------------------------------------------------

// Server-sent events over fetch. A browser's EventSource does the same by itself: it reads, and after a break resumes
// with the last id, so that nothing is missed and nothing arrives twice.
class Stream {
  #received = new Set();
  #waiting = new Map();
  #lastId = null;
  #end = new AbortController();

  constructor(topic) {
    this.url = `${API}/api/stream?topics=${topic}`;
  }

  // Opens the stream; returns when the server has sent the position at which it begins.
  async open() {
    const welcomed = this.until("welcome");
    this.#listen();
    await welcomed;
  }

  close() {
    this.#end.abort();
  }

  // Returns when the stream has delivered a transaction.
  async until(signature) {
    if (this.#received.has(signature)) return;
    await new Promise((resolve) => {
      const missed = () => fail(`The stream did not tell of ${signature} in ${TIMEOUT_MS / 1000} s.`);
      const timer = setTimeout(missed, TIMEOUT_MS);
      this.#waiting.set(signature, () => resolve(clearTimeout(timer)));
    });
  }

  async #listen() {
    while (!this.#end.signal.aborted) {
      try {
        const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
        const answer = await fetch(this.url, { headers, signal: this.#end.signal });
        if (!answer.ok) fail(`${this.url} answers ${answer.status}: ${await answer.text()}`);
        await this.#read(answer.body.pipeThrough(new TextDecoderStream()));
      } catch (error) {
        if (!this.#end.signal.aborted) console.log(`  (the stream broke: ${error.cause?.message ?? error.message})`);
      }
      await pause(500);
    }
  }

  async #read(chunks) {
    let text = "";
    for await (const chunk of chunks) {
      const frames = (text + chunk).split("\n\n");
      text = frames.pop();
      for (const frame of frames) this.#take(frame);
    }
  }

  #take(frame) {
    const fields = {};
    for (const line of frame.split("\n")) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name) fields[name] = value;
    }
    if (fields.id) this.#lastId = fields.id;
    if (fields.event === "welcome") this.#resolve("welcome");
    if (fields.data && !fields.event) this.#show(JSON.parse(fields.data));
  }

  #show({ seq, messages }) {
    // The event, then the market's state; the rest repeats these for other kinds of clients.
    const standing = messages.find(({ type }) => type === "market_update");
    for (const { type, data } of messages) {
      const words = READABLE[type]?.(data);
      if (words === undefined) continue;
      console.log(`  #${seq} ${words}${standing ? `  [${stands(standing.data)}]` : ""}`);
      this.#resolve(data.tx_signature);
    }
  }

  #resolve(signature) {
    this.#received.add(signature);
    this.#waiting.get(signature)?.();
  }
}

const READABLE = {
  trade: (data) =>
    `${data.trade_type === "buy" ? "SharesBought" : "SharesSold"}: ${Number(data.shares_exact) / 1e9} ${data.outcome}` +
    ` for ${sol(data.cost_exact)} by ${short(data.user_wallet)}`,
  vote: (data) =>
    `${data.vote_type === "proposal" ? "ProposalVoteSubmitted" : "DisputeVoteSubmitted"}:` +
    ` ${data.vote ? "yes" : "no"} by ${short(data.user_wallet)}`,
  market_event: (data) => `${data.name}${data.user_wallet ? ` by ${short(data.user_wallet)}` : ""}`,
  retracted: (data) => `taken back: ${data.name} of #${data.ref}`,
};

const stands = (data) =>
  `${data.state}${data.outcome ? `, ${data.outcome}` : ""}, YES at ${Number(data.priceYes).toFixed(4)},` +
  ` volume ${sol(data.total_volume_exact)}`;

// --- The chain ------------------------------------------------------------------------------------------------------

// The program as one wallet uses it: the wallet pays and signs.
function as(keypair) {
  const options = { commitment: "confirmed", preflightCommitment: "confirmed" };
  return new Program(idl, new AnchorProvider(connection, new Wallet(keypair), options));
}

function keyOf(name) {
  const file = path.join(KEYS, `${name}.json`);
  if (!existsSync(file)) fail(`${file} is missing. Start the development chain with \`make up\`, or set ZMART_STATE_DIR.`);
  return web3.Keypair.fromSecretKey(Uint8Array.from(JSON.parse(readFileSync(file))));
}

async function funded() {
  const keypair = web3.Keypair.generate();
  const signature = await connection.requestAirdrop(keypair.publicKey, 500 * SOL);
  const latest = await connection.getLatestBlockhash("confirmed");
  await connection.confirmTransaction({ signature, ...latest }, "confirmed");
  return keypair;
}

const sent = [];

// Sends one instruction and waits until it is confirmed.
async function step(name, keypair, accounts, ...args) {
  const call = () => as(keypair).methods[name](...args).accountsPartial(accounts).rpc();
  const signature = await call().catch(async (error) => {
    // The admin of the demo pauses the protocol now and then, for a moment.
    if (error.error?.errorCode?.code !== "ProtocolPaused") throw error;
    await pause(3_000);
    return call();
  });
  sent.push(signature);
  console.log(`> ${name} by ${short(keypair.publicKey.toBase58())}: ${short(signature)}`);
  return signature;
}

async function rpc(method, ...params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await fetch(RPC, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

// The chain's clock, which the program uses.
async function now() {
  return await connection.getBlockTime(await connection.getSlot("confirmed"));
}

// Returns when the chain's clock shows `time` (Unix seconds); moves it there if the chain allows it.
async function clockShows(time) {
  const missing = time - (await now());
  if (missing > 2 && process.env.WARP !== "0") {
    console.log(`  (moving the chain's clock on by ${missing} s)`);
    await rpc("devchain_warp", missing).catch((error) => console.log(`  (waiting instead: ${error.message})`));
  }
  while ((await now()) < time) await pause(250);
}

async function get(route) {
  const answer = await fetch(API + route);
  if (!answer.ok) fail(`${API}${route} answers ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

// --- The market -----------------------------------------------------------------------------------------------------

const admin = keyOf("admin");
const backend = keyOf("backend");
const reader = as(admin);
const programId = reader.programId;
const derived = (...seeds) => web3.PublicKey.findProgramAddressSync(seeds, programId)[0];
const config = await reader.account.globalConfig
  .fetch(derived(Buffer.from("global-config")))
  .catch((error) => fail(`There is no configuration of ${programId.toBase58()} at ${RPC}: ${error.message}`));
if (!config.admin.equals(admin.publicKey)) fail(`The keys in ${KEYS} are of another chain than the one at ${RPC}.`);

const marketId = randomBytes(32);
const id = marketId.toString("hex");
const market = derived(Buffer.from("market"), marketId);
const question = [...Buffer.from("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG")];
const evidence = [...Buffer.from("QmT5NvUtoM5nWFfrQdVrFtvGfKFmG7AHE8P34isapyhCxX")];

const stream = new Stream(`market:${id}`);
await stream.open();
console.log(`listening to market:${id}`);

const [creator, yes, no, resolver] = await Promise.all([funded(), funded(), funded(), funded()]);
const wallet = (keypair) => keypair.publicKey;

await step("createMarket", creator, { creator: wallet(creator) }, [...marketId], new BN(100 * SOL), new BN(SOL), question);

// One vote record for each wallet and kind, 0 for proposals (protocol.md 1.2).
const ballots = [[yes, true], [no, true], [resolver, true], [creator, false]].map(([keypair, vote]) => {
  const seeds = [Buffer.from("vote"), market.toBuffer(), wallet(keypair).toBuffer(), Buffer.from([0])];
  const accounts = { market, user: wallet(keypair), voteRecord: derived(...seeds) };
  return step("submitProposalVote", keypair, accounts, vote);
});
for (const ballot of await Promise.all(ballots)) await stream.until(ballot);
const { stats } = await get(`/api/markets/${id}/votes?type=proposal`);
const backendAuthority = wallet(backend);
await step("aggregateProposalVotes", backend, { market, backendAuthority }, stats.likes, stats.dislikes);
await step("approveProposal", admin, { market, admin: wallet(admin) });
await step("activateMarket", creator, { market, authority: wallet(creator) });

const { protocolFeeWallet } = config;
const buyer = (keypair) => ({ market, user: wallet(keypair), protocolFeeWallet });
// The amount is the most to pay, fees included.
await step("buyShares", yes, buyer(yes), true, new BN(5 * SOL));
await step("buyShares", no, buyer(no), false, new BN(3 * SOL));
await step("buyShares", yes, buyer(yes), true, new BN(2 * SOL));

const active = await reader.account.marketAccount.fetch(market);
await clockShows(active.activatedAt.toNumber() + 1);
await step("resolveMarket", resolver, { market, resolver: wallet(resolver) }, true, evidence);
const resolving = await reader.account.marketAccount.fetch(market);
await clockShows(resolving.resolutionProposedAt.add(config.disputePeriod).toNumber());
// Without a dispute there is nothing to count, and the proposed outcome stands.
await step("finalizeMarket", backend, { market, backendAuthority }, null, null);

// Winners first: after the withdrawal there is nothing left to claim (protocol.md 1.4.11).
await step("claimWinnings", yes, { market, user: wallet(yes), resolver: wallet(resolver) });
await step("withdrawLiquidity", creator, { market, creator: wallet(creator) });

for (const signature of sent) await stream.until(signature);
stream.close();

// --- The comparison -------------------------------------------------------------------------------------------------

const shown = await get(`/api/markets/${id}`);
const held = await reader.account.marketAccount.fetch(market);
const seconds = (instant) => (instant === null ? 0 : Date.parse(instant) / 1000);
const pairs = {
  state: [shown.state, Object.keys(held.state)[0].toUpperCase()],
  outcome: [shown.outcome, { true: "YES", false: "NO", null: "INVALID" }[held.finalOutcome]],
  shares_yes: [shown.shares_yes_exact, held.sharesYes.toString()],
  shares_no: [shown.shares_no_exact, held.sharesNo.toString()],
  total_volume: [shown.total_volume_exact, held.totalVolume.toString()],
  b_parameter: [shown.b_parameter_exact, held.bParameter.toString()],
  current_liquidity: [shown.current_liquidity_exact, held.currentLiquidity.toString()],
  accumulated_resolver_fees: [shown.accumulated_resolver_fees_exact, held.accumulatedResolverFees.toString()],
  accumulated_lp_fees: [shown.accumulated_lp_fees_exact, held.accumulatedLpFees.toString()],
  proposal_likes: [shown.proposal_likes, held.proposalLikes],
  proposal_dislikes: [shown.proposal_dislikes, held.proposalDislikes],
  creator: [shown.creator_wallet, held.creator.toBase58()],
  resolver: [shown.resolver_wallet, held.resolver.toBase58()],
  created_at: [seconds(shown.created_at), held.createdAt.toNumber()],
  activated_at: [seconds(shown.activated_at), held.activatedAt.toNumber()],
  finalized_at: [seconds(shown.finalized_at), held.finalizedAt.toNumber()],
};
const differing = Object.entries(pairs).filter(([, [ours, theirs]]) => ours !== theirs);
for (const [name, [ours, theirs]] of differing) console.error(`${name}: the API says ${ours}, the chain ${theirs}`);
if (differing.length) process.exit(1);
console.log(`${sent.length} steps heard; ${Object.keys(pairs).length} fields agree: ${shown.state}, ${shown.outcome}`);
process.exit(0);
