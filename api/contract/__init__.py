"""What the API promises: the OpenAPI document of its requests, the AsyncAPI document of its streams.

Both are made from the code that serves: handlers, shapes, the table of errors, the words of streams.
`python -m api.contract openapi` (or `asyncapi`) prints one; `docs/openapi.json` and `docs/asyncapi.json` are kept equal
by a test, so that a change of the contract is a change somebody reads.
"""
