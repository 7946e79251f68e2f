"""A service that answers with bytes made beforehand: what clients are tested against."""

import socket
import threading
from contextlib import contextmanager

from mandel.protocol.request import NEED_MORE, RequestReceiver


@contextmanager
def answering(*replies, hold=None, read=None):
    """Answers one connection for each of ``replies``; gives (port, the requests that came).

    Args:
        replies: bytes to send, one item for each connection.
        hold: an Event to wait for before the connection is closed.
        read: makes a request of the bytes of one segment; the service's receiver if None.
    """
    requests = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for data in replies:
            connection, _ = listener.accept()
            with connection:
                feed = read or RequestReceiver().feed
                while (event := feed(connection.recv(65_536))) is NEED_MORE:
                    pass
                requests.append(event)
                try:
                    connection.sendall(data)
                except OSError:
                    continue  # the client has seen enough
                if hold is not None:
                    hold.wait(60)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        if hold is not None:
            hold.set()
        thread.join(60)
        listener.close()
