"""Publishes each day's discussions in IPFS, addressed by their content, so that nobody can change them unnoticed.

`document` builds the document, always with the same bytes; zmart.domain.cids computes its CID. `services` calls the
three servers: node, gateway and pinning service. `publish` does a day's work: publish, compare CIDs, read back,
record, pin. `errors` defines the failures, each with the alert it raises. ADR 0015 has the reasons for this design.
"""
