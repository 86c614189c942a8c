"""Contains the shared parts of the HTTP servers: problem details, listening sockets, the uvicorn server."""
