// Signing in with a browser's wallet: the Wallet Standard finds it, it signs a text of the API, and the API
// answers with tokens. They stay in this page's memory: a reload signs out, and no script finds them in storage.

import { read, send } from "./api.js";

/** A new access token is asked for this long before the old one expires. */
const RENEW_BEFORE_MS = 60_000;
/** The pause after a renewal that failed, while the API or the network is away. */
const RENEW_AGAIN_MS = 5_000;

export class Session extends EventTarget {
  /** Wallets of this browser that can sign in, by name. */
  wallets = new Map();
  /** The address that is signed in; null when none is. */
  address = null;
  /** Its access token. */
  token = null;

  #refreshToken = null;
  #timer = 0;

  constructor() {
    super();
    const register = (...wallets) => {
      for (const wallet of wallets) if (canSign(wallet)) this.wallets.set(wallet.name, wallet);
      this.#emit();
      return () => {
        for (const { name } of wallets) this.wallets.delete(name);
        this.#emit();
      };
    };
    // Wallets that load later announce themselves; those that are here already wait for this event.
    addEventListener("wallet-standard:register-wallet", ({ detail }) => detail({ register }));
    dispatchEvent(new CustomEvent("wallet-standard:app-ready", { detail: { register } }));
  }

  /** Sign in with one of `wallets`; throws what the wallet or the API answers. */
  async signIn(name) {
    const { features } = this.wallets.get(name);
    const { accounts } = await features["standard:connect"].connect();
    const [account] = accounts;
    if (!account) throw new Error("The wallet has no account for this page.");
    const nonce = await read("auth/nonce", { wallet: account.address });
    const proof = features["solana:signIn"] ? await signInput(features, account, nonce) : await signText(features, account, nonce);
    this.#open(await send("auth/verify", { wallet: account.address, ...proof }));
  }

  /** End the session, here at once and on the server if it answers. */
  async signOut() {
    const token = this.#refreshToken;
    this.#close();
    if (token) await send("auth/logout", { refresh_token: token }).catch(() => {});
  }

  #open({ wallet, access_token: token, refresh_token: refreshToken, expires_in: seconds }) {
    // A proxy may answer 200 with something else.
    if (typeof token !== "string" || typeof refreshToken !== "string") throw new Error("The answer is no session.");
    this.address = wallet;
    this.#refreshToken = refreshToken;
    this.token = token;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), Math.max(seconds * 1000 - RENEW_BEFORE_MS, 1_000));
    this.#emit();
  }

  async #renew() {
    const token = this.#refreshToken;
    // False after a sign-out or another sign-in: the answer is then ignored.
    const isCurrent = () => this.#refreshToken === token;
    try {
      const session = await send("auth/refresh", { refresh_token: token });
      if (isCurrent()) this.#open(session);
    } catch (error) {
      if (!isCurrent()) return;
      if (error.status === 401) this.#close();
      else this.#timer = setTimeout(() => this.#renew(), RENEW_AGAIN_MS);
    }
  }

  #close() {
    clearTimeout(this.#timer);
    this.address = null;
    this.#refreshToken = null;
    this.token = null;
    this.#emit();
  }

  #emit() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

const canSign = ({ features }) => "standard:connect" in features && ("solana:signIn" in features || "solana:signMessage" in features);

/** The wallet writes the text itself and shows which site asks. */
async function signInput(features, account, nonce) {
  const [signed] = await features["solana:signIn"].signIn({
    address: account.address,
    domain: nonce.domain,
    uri: nonce.uri,
    version: nonce.version,
    chainId: nonce.chain_id,
    statement: nonce.statement,
    nonce: nonce.nonce,
    issuedAt: nonce.issued_at,
    expirationTime: nonce.expires_at,
  });
  return { signed_message: toBase64(signed.signedMessage), signature: toBase64(signed.signature) };
}

async function signText(features, account, { message }) {
  const [signed] = await features["solana:signMessage"].signMessage({ account, message: new TextEncoder().encode(message) });
  return { signed_message: toBase64(signed.signedMessage), signature: toBase64(signed.signature) };
}

const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
