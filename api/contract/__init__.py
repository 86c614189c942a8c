"""Builds the API's contract: the OpenAPI document of its requests and the AsyncAPI document of its streams.

Both are generated from the code that serves: handlers, schemas, the table of errors, the stream messages.
`python -m api.contract openapi` (or `asyncapi`) prints one. A test compares `docs/openapi.json` and
`docs/asyncapi.json` with them, so that every change of the contract is visible in a diff.
"""
