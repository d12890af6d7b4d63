# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries connections between hosts on which nothing may be left: each listens where nothing listens yet, and asks the others,
all in one process that takes its listeners with it when it ends."""

from __future__ import annotations

import collections
import errno
import selectors
import socket
import time

# How long one attempt waits for an answer, in seconds: the kernel asks a second time after one second.
ATTEMPT = 3.0
# After how long a refused connection is tried again: the other host may not listen yet.
PAUSE = 0.25
# How often silence is tried again before it is one.
SILENCES = 2
# How many connections are tried at once.
AT_ONCE = 64
REFUSED = (errno.ECONNREFUSED, errno.ECONNRESET)
IN_PROGRESS = (0, errno.EINPROGRESS)


class Probe:
    """A connection that is tried until it is open, surely closed, or the time is over."""

    def __init__(self, flow):
        self.flow, self.why, self.silences, self.next, self.until, self.socket = flow, None, 0, 0.0, 0.0, None

    def told(self):
        return {**self.flow, "why": self.why}


class Exchange:
    def __init__(self, listen, flows, token, window):
        self.token = token.encode()
        self.selector = selectors.DefaultSelector()
        self.taken, self.awaited = [], {}
        self.waiting = collections.deque(Probe(flow) for flow in flows)
        self.asking, self.done = set(), []
        self.end = time.monotonic() + window
        for one in listen:
            self.listen(one["port"], one["protocol"], one["expects"])

    def listen(self, port, protocol, expects):
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        try:
            if protocol == "tcp":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", port))
            if protocol == "tcp":
                listener.listen(128)
        except OSError as error:
            listener.close()
            self.taken.append({"port": port, "protocol": protocol, "why": error.strerror or str(error)})
            return
        self.awaited[(port, protocol)] = [expects, set()]
        self.selector.register(listener, selectors.EVENT_READ, (port, protocol))

    def answer(self, listener, place):
        """Somebody asks: that it got here is all it wants to know."""
        while True:
            try:
                if place[1] == "tcp":
                    connection, peer = listener.accept()
                    connection.close()
                else:
                    said, peer = listener.recvfrom(256)
                    if said != self.token:
                        continue
                    listener.sendto(said, peer)
            except BlockingIOError:
                return
            except OSError:
                continue
            self.awaited[place][1].add(peer[0])

    def ask(self, probe, now):
        flow = probe.flow
        kind = socket.SOCK_STREAM if flow["protocol"] == "tcp" else socket.SOCK_DGRAM
        probe.socket = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        probe.until = now + ATTEMPT
        self.asking.add(probe)
        code = probe.socket.connect_ex((flow["address"], flow["port"]))
        if code not in IN_PROGRESS:
            self.ended(probe, code, now)
            return
        if flow["protocol"] == "udp":
            try:
                probe.socket.send(self.token)
            except OSError as error:
                self.ended(probe, error.errno, now)
                return
        event = selectors.EVENT_WRITE if flow["protocol"] == "tcp" else selectors.EVENT_READ
        self.selector.register(probe.socket, event, probe)

    def heard(self, probe, now):
        code = probe.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and probe.flow["protocol"] == "udp":
            try:
                probe.socket.recv(256)
            except OSError as error:
                code = error.errno
        self.ended(probe, code, now)

    def ended(self, probe, code, now):
        """Open, refused (and tried again for as long as the other may not listen yet), silent, or without a way."""
        self.asking.discard(probe)
        if probe.socket.fileno() in self.selector.get_map():
            self.selector.unregister(probe.socket)
        probe.socket.close()
        if code == 0:
            probe.why = None
            self.done.append(probe)
            return
        if code in REFUSED:
            probe.why, probe.next = "refused", now + PAUSE
        elif code == errno.ETIMEDOUT:
            probe.why, probe.next = "dropped", now
            probe.silences += 1
        else:
            probe.why, probe.next = errno.errorcode.get(code, str(code)), now + PAUSE
            probe.silences += 1
        if probe.silences >= SILENCES or probe.next >= self.end:
            self.done.append(probe)
        else:
            self.waiting.append(probe)

    def expected(self):
        """Whether somebody who should ask has not asked yet."""
        return any(len(peers) < expects for expects, peers in self.awaited.values())

    def step(self):
        now = time.monotonic()
        for _ in range(len(self.waiting)):
            probe = self.waiting.popleft()
            if probe.next > now or len(self.asking) >= AT_ONCE:
                self.waiting.append(probe)
            else:
                self.ask(probe, now)
        for key, _ in self.selector.select(0.05):
            if isinstance(key.data, Probe):
                self.heard(key.data, now)
            else:
                self.answer(key.fileobj, key.data)
        now = time.monotonic()
        for probe in [probe for probe in self.asking if now >= min(probe.until, self.end + ATTEMPT)]:
            self.ended(probe, errno.ETIMEDOUT, now)

    def run(self):
        try:
            while self.waiting or self.asking or (self.expected() and time.monotonic() < self.end):
                self.step()
        finally:
            for key in list(self.selector.get_map().values()):
                key.fileobj.close()
            self.selector.close()
        closed = [probe.told() for probe in self.done if probe.why]
        unasked = [
            {"port": port, "protocol": protocol, "expects": expects, "asked_by": sorted(peers)}
            for (port, protocol), (expects, peers) in self.awaited.items()
            if len(peers) < expects
        ]
        return {"count": len(self.done), "closed": closed, "taken": self.taken, "unasked": unasked}


def exchange(listen, flows, token, window):
    """Listens on C(listen), each with port, protocol and how many hosts will ask, and tries C(flows), each with address,
    port and protocol. It ends when all is asked and answered, or the window of so many seconds is over."""
    return Exchange(listen, flows, token, window).run()
