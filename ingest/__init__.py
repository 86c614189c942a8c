"""From the chain to the log: deliveries are proven, decoded and committed, then acknowledged."""
