// Labels for the program's names.

export const STATES = {
  PROPOSED: "Proposed",
  APPROVED: "Approved",
  ACTIVE: "Active",
  RESOLVING: "Resolving",
  DISPUTED: "Disputed",
  FINALIZED: "Final",
  CANCELLED: "Cancelled",
};

/** How a market ended: YES, NO, INVALID or Cancelled; null while its price says something. */
export const decision = (market) => market.outcome ?? (market.state === "CANCELLED" ? STATES.CANCELLED : null);

/** A sentence for each state: the next step of the market. */
export const WAITS_FOR = {
  PROPOSED: "Waits for votes on the proposal.",
  APPROVED: "Waits for its creator to open trading.",
  ACTIVE: "Open for trading.",
  RESOLVING: "An outcome is proposed; it can be disputed.",
  DISPUTED: "The outcome is disputed; votes decide.",
  FINALIZED: "Settled; winners claim.",
  CANCELLED: "Cancelled; nothing is traded.",
};

const STEPS = {
  MarketCreated: "Proposed",
  ProposalAggregated: "Votes counted",
  ProposalApproved: "Approved",
  MarketActivated: "Opened for trading",
  MarketResolved: "Outcome proposed",
  DisputeInitiated: "Outcome disputed",
  DisputeAggregated: "Dispute counted",
  DisputeResolved: "Dispute settled",
  MarketFinalized: "Finalized",
  MarketCancelled: "Cancelled",
  LiquidityWithdrawn: "Pool withdrawn",
};

/** The label of a step of a market's life; an unknown name is shown as it is. */
export const step = (event) => STEPS[event] ?? event.replace(/(?<=[a-z])(?=[A-Z])/g, " ");

export const DEADLINES = { dispute_closes_at: "Can be disputed", voting_closes_at: "Votes count" };

/** Parts of a trade in words: "bought", "12.5", "YES". */
export const verb = (trade) => (trade.trade_type === "buy" ? "bought" : "sold");
