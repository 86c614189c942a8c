"""Discussions kept where nobody can change them: a day's talk under a market, named by its content, in IPFS.

`document` writes what was said, the same bytes every time; zmart.domain.cids names them. `services` are the three
servers that take part, `anchors` is a day's work: publish, compare names, read back, remember, have it kept elsewhere.
`faults` is what can go wrong, each with the alert it raises. ADR 0015 says why it is done this way.
"""
