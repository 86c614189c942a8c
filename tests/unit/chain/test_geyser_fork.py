"""A process that uses gRPC starts other processes."""

from __future__ import annotations

import subprocess
import sys

#: Sixty children, each by a fork, while a stream is read on another thread. Prints their exit statuses.
PROGRAM = """
import asyncio, os, subprocess, sys, threading
import zmart.chain.geyser
import grpc, grpc.aio

class Handlers(grpc.GenericRpcHandler):
    def service(self, details):
        async def send(request, context):
            while True:
                await context.write(b"x" * 100)
                await asyncio.sleep(0.002)
        return grpc.unary_stream_rpc_method_handler(send)

async def serve(reads, stop):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    call = channel.unary_stream("/a/b")(b"")
    async def read():
        async for _ in call:
            reads.set()
    reader = asyncio.create_task(read())
    await asyncio.to_thread(stop.wait)
    reader.cancel()
    await channel.close()
    await server.stop(0)

reads, stop = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: asyncio.run(serve(reads, stop)))
thread.start()
assert reads.wait(30)
command = [sys.executable, "-S", "-c", ""]
statuses = {subprocess.run(command, preexec_fn=os.getpid, stderr=subprocess.DEVNULL).returncode for _ in range(60)}
stop.set()
thread.join()
print(sorted(statuses))
"""


def test_children_of_a_process_with_grpc_survive_the_fork() -> None:
    """Each of them starts; gRPC's handlers of a fork ended one of three with SIGSEGV or SIGABRT."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=60
    )

    assert finished.stdout.strip() == "[0]", finished.stderr
