// A wallet of the Wallet Standard with these features; the test signs for it.
(features) => {
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const sign = async (text) => {
    const signature = bytes(await window.signText(text));
    return { signedMessage: new TextEncoder().encode(text), signature };
  };
  const line = (name, value) => value === undefined ? "" : `\n${name}: ${value}`;
  const wallet = {
    name: "Testwallet", version: "1.0.0", chains: ["solana:localnet"], accounts: [],
    features: {
      "standard:connect": { connect: async () => ({ accounts: [{ address: await window.walletAddress() }] }) },
      "solana:signMessage": { signMessage: async ({ message }) => [await sign(new TextDecoder().decode(message))] },
      "solana:signIn": {
        signIn: async (input) => [await sign(
          `${input.domain} wants you to sign in with your Solana account:\n${input.address}\n\n${input.statement}\n`
          + line("URI", input.uri) + line("Version", input.version) + line("Chain ID", input.chainId)
          + line("Nonce", input.nonce) + line("Issued At", input.issuedAt) + line("Expiration Time", input.expirationTime)
        )],
      },
    },
  };
  for (const name of Object.keys(wallet.features)) if (!features.includes(name)) delete wallet.features[name];
  const announce = ({ register }) => register(wallet);
  window.addEventListener("wallet-standard:app-ready", ({ detail }) => announce(detail));
  window.dispatchEvent(new CustomEvent("wallet-standard:register-wallet", { detail: announce }));
}
