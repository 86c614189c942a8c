// Creates, trades and reads a market with @coral-xyz/anchor and @solana/web3.js, as a frontend does.
// Arguments: RPC address, WebSocket address, IDL file. Prints one JSON object.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(process.cwd() + '/');
const anchor = require('@coral-xyz/anchor');
const { BN, web3 } = anchor;
const [rpc, ws, idlFile] = process.argv.slice(2);
const connection = new web3.Connection(rpc, { wsEndpoint: ws, commitment: 'confirmed' });
const admin = web3.Keypair.generate();
const wallet = new anchor.Wallet(admin);
const provider = new anchor.AnchorProvider(connection, wallet, {
  commitment: 'confirmed',
  preflightCommitment: 'confirmed',
});
const program = new anchor.Program(JSON.parse(readFileSync(idlFile)), provider);

const airdrop = await connection.requestAirdrop(admin.publicKey, 100 * web3.LAMPORTS_PER_SOL);
const latest = await connection.getLatestBlockhash('confirmed');
await connection.confirmTransaction({ signature: airdrop, ...latest }, 'confirmed');

const marketId = [...Buffer.alloc(32, 9)];
const cid = [...Buffer.from('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG')];
const [market] = web3.PublicKey.findProgramAddressSync(
  [Buffer.from('market'), Buffer.from(marketId)],
  program.programId,
);
const me = admin.publicKey;

await program.methods
  .initializeGlobalConfig(me)
  .accountsPartial({ admin: me, protocolFeeWallet: me })
  .rpc();
await program.methods
  .createMarket(marketId, new BN('100000000000'), new BN('1000000000'), cid)
  .accountsPartial({ creator: me })
  .rpc();
await program.methods
  .aggregateProposalVotes(7, 3)
  .accountsPartial({ market, backendAuthority: me })
  .rpc();
await program.methods.approveProposal().accountsPartial({ admin: me, market }).rpc();
await program.methods.activateMarket().accountsPartial({ authority: me, market }).rpc();

const received = new Promise((resolve) => {
  program.addEventListener('sharesBought', (event, slot, signature) => {
    resolve({ shares: event.shares.toString(), cost: event.cost.toString(), slot, signature });
  });
});
const buy = (target) =>
  program.methods
    .buyShares(true, new BN(target))
    .accountsPartial({ market, user: me, protocolFeeWallet: me });
// The subscription is confirmed before the buy is sent, because the event could be missed otherwise.
await new Promise((resolve) => setTimeout(resolve, 300));
const signature = await buy('1000000000').rpc();
const event = await received;

const refused = await buy('9999')
  .rpc()
  .then(() => null)
  .catch((error) => error.error?.errorCode?.code ?? String(error));
const account = await program.account.marketAccount.fetch(market);
const all = await program.account.userPosition.all();
const transaction = await connection.getTransaction(signature, {
  commitment: 'confirmed',
  maxSupportedTransactionVersion: 1,
});
const simulated = await buy('500000000').simulate();

console.log(
  JSON.stringify({
    event,
    signature,
    refused,
    sharesYes: account.sharesYes.toString(),
    state: Object.keys(account.state),
    positions: all.length,
    logged: transaction.meta.logMessages.filter((line) => line.startsWith('Program data: ')).length,
    simulated: simulated.events?.map((each) => each.name),
  }),
);
process.exit(0);
