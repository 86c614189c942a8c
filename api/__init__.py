"""The API: answers and streams of the log's marts, as clients of protocol.md 5 and 7 expect them."""
