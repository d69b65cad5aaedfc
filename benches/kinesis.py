"""A Kinesis stream that synthesises what is on it: a server for measuring readers, on one machine, without a disk.

It speaks the protocol of Kinesis Data Streams as far as a polling reader needs it, keeps to its limits for one answer
(10,000 records, 10 MiB) and to none for a shard: real ones give 2 MiB a second. Records are SES events, each with a
message id of its own, made of templates when they are asked for.
"""

import base64
import http.server
import json
import re
import socket
import threading
import time

PAGE_BYTES = 10 << 20
PAGE_RECORDS = 10_000
CREATED_S = 1_793_491_200
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/bench"
ALL_KEYS = 1 << 128
# Of a message id, the digits that are replaced by a number.
NUMBERED = 12


class Templates:
    """SES events, cut where their message id stands."""

    def __init__(self, lines):
        self.parts = []
        for line in lines:
            found = re.search(rb'"messageId":"([^"]{24,})"', line)
            start = found.start(1)
            self.parts.append((line[:start], line[start + NUMBERED:]))
        self.bytes = sum(len(head) + NUMBERED + len(tail) for head, tail in self.parts) / len(self.parts)

    def record(self, number):
        # Events of one message keep one id within a round over the templates; rounds differ.
        head, tail = self.parts[number % len(self.parts)]
        return b"%b%012x%b" % (head, number // len(self.parts), tail)


class Stream:
    """`records` on each of `shards`. With a `rate` they arrive at so many a second and shard, from now on."""

    def __init__(self, templates, shards, records, rate=None):
        self.templates = templates
        self.shards = shards
        self.records = records
        self.rate = rate
        self.began = time.time()
        self.served_bytes = 0
        self.lock = threading.Lock()

    def arrived(self, record):
        """When a record arrived, in seconds since 1970."""
        return self.began + (record / self.rate if self.rate else 0)

    def available(self):
        if not self.rate:
            return self.records
        return min(self.records, int((time.time() - self.began) * self.rate))

    def page(self, shard, start):
        end = min(self.available(), start + PAGE_RECORDS)
        out, size, number = [], 0, start
        while number < end:
            data = self.templates.record(shard + number * self.shards)
            size += len(data)
            if size > PAGE_BYTES:
                break
            out.append('{"SequenceNumber":"%s","PartitionKey":"k","ApproximateArrivalTimestamp":%.3f,"Data":"%s"}' % (
                sequence(shard, number), self.arrived(number), base64.b64encode(data).decode()))
            number += 1
        behind = 0
        if number < self.available():
            behind = max(1, int((time.time() - self.arrived(number)) * 1000))
        with self.lock:
            self.served_bytes += size
        return '{"Records":[%s],"MillisBehindLatest":%d,"NextShardIterator":"%d|%d"}' % (",".join(out), behind, shard, number)

    def answer(self, action, asked):
        if action == "DescribeStreamSummary":
            return json.dumps({"StreamDescriptionSummary": {
                "StreamName": "bench", "StreamARN": ARN, "StreamStatus": "ACTIVE", "RetentionPeriodHours": 8760,
                "StreamCreationTimestamp": CREATED_S, "EnhancedMonitoring": [], "OpenShardCount": self.shards}})
        if action == "ListShards":
            width = ALL_KEYS // self.shards
            return json.dumps({"Shards": [{
                "ShardId": shard_id(n),
                "HashKeyRange": {"StartingHashKey": str(n * width), "EndingHashKey": str((n + 1) * width - 1)},
                "SequenceNumberRange": {"StartingSequenceNumber": sequence(n, 0)}} for n in range(self.shards)]})
        if action == "GetShardIterator":
            shard = int(asked["ShardId"].split("-")[1])
            start = 0
            if asked["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
                start = int(asked["StartingSequenceNumber"][14:]) + 1
            return json.dumps({"ShardIterator": f"{shard}|{start}"})
        if action == "GetRecords":
            shard, start = asked["ShardIterator"].split("|")
            return self.page(int(shard), int(start))
        raise KeyError(action)


def shard_id(shard):
    return f"shardId-{shard:012d}"


def sequence(shard, record):
    return f"4959{shard:010d}{record:042d}"


def serve(stream):
    """Serves the stream on a free loopback port; returns the server, whose `server_address` says where."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = stream.answer(self.headers["X-Amz-Target"].split(".")[1], asked).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self):
            connection, address = super().get_request()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection, address

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
