"""Stand-ins for destinations that have no emulator, each checking what it is sent against what is documented.

    stand_in.py profiles|webhook|lists|pinpoint|front PORT

profiles: Amazon Connect Customer Profiles (shapes and limits of the API model), with the store that upload
jobs are laid into. webhook: a receiver that checks signatures (Standard Webhooks). lists and pinpoint: what
import jobs of SES's contact lists and of Pinpoint do, in front of an emulated AWS that does the rest. front:
passes everything on to the AWS behind.

GET /_state tells what came and what is wrong with it; POST /_script sets faults: {"answers": {"3": 503}}
answers the third request from now so, {"hang_at": 5} answers the fifth never ({"performed": true}: does what it
asks all the same), {"items": {"ID-OR-KEY": 429}} fails single items, {"once": true} each of them only once.
"""

import base64
import csv
import hashlib
import hmac
import http.client
import io
import json
import os
import re
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.RLock()


class Stop(Exception):
    """An answer that ends a request."""

    def __init__(self, status, code, message=""):
        self.status, self.code, self.message = status, code, message


class Raw:
    """An answer that is passed on as it came."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class StandIn:
    def __init__(self):
        self.requests, self.violations = [], []
        self.script(dict())

    def script(self, faults):
        self.answers = {int(at): status for at, status in faults.get("answers", {}).items()}
        self.hang_at, self.performed = faults.get("hang_at"), faults.get("performed", False)
        self.hanging = False
        self.items = dict(faults.get("items", {}))
        self.once = faults.get("once", False)
        self.counted = 0

    def violated(self, what):
        self.violations.append(what)
        raise Stop(400, "ValidationException", what)

    def check(self, holds, what):
        if not holds:
            self.violated(what)

    def fault_of_item(self, key):
        status = self.items.get(key)
        if status is not None and self.once:
            del self.items[key]
        return status

    def state(self):
        return {"requests": self.requests, "violations": self.violations, "hanging": self.hanging}


class Profiles(StandIn):
    """Customer Profiles, one domain named acme."""

    def __init__(self):
        super().__init__()
        self.domain_there = True
        self.types, self.segments, self.objects, self.profiles, self.jobs = {}, {}, {}, {}, {}

    def state(self):
        return dict(super().state(), types=self.types, segments=self.segments, objects=self.objects,
                    profiles=self.profiles, jobs={id: job["status"] for id, job in self.jobs.items()})

    def script(self, faults):
        super().script(faults)
        if "domain" in faults:
            self.domain_there = faults["domain"]
        self.partial = faults.get("partial_uploads", 0)

    def handle(self, method, path, query, headers, body):
        if path.startswith("/store/"):
            return self.lay(method, path[len("/store/"):], headers, body)
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        self.check(parts[0] == "domains" and len(parts) >= 2, f"no such path {path}")
        self.check(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", parts[1]), f"domain {parts[1]}")
        if parts[1] != "acme" or not self.domain_there:
            raise Stop(404, "ResourceNotFoundException", "no such domain")
        body = json.loads(body) if body else {}
        match (method, parts[2:]):
            case ("GET", []):
                return {"DomainName": "acme", "DefaultExpirationDays": 366, "CreatedAt": 0, "LastUpdatedAt": 0}
            case ("GET", ["object-types", name]):
                if name not in self.types:
                    raise Stop(404, "ResourceNotFoundException", "no such type")
                return dict(self.types[name], ObjectTypeName=name)
            case ("PUT", ["object-types", name]):
                return self.put_type(name, body)
            case ("PUT", ["profiles", "objects", "batch-put-profile-object"]):
                return self.put_objects(body)
            case ("GET", ["segment-definitions", name]):
                if name not in self.segments:
                    raise Stop(404, "ResourceNotFoundException", "no such segment")
                return {"SegmentDefinitionName": name, "SegmentDefinitionArn": "arn:x", "CreatedAt": 0}
            case ("POST", ["segment-definitions", name]):
                return self.create_segment(name, body)
            case ("POST", ["upload-jobs"]):
                return self.create_job(body)
            case (_, ["upload-jobs", id, *rest]):
                if id not in self.jobs:
                    raise Stop(404, "ResourceNotFoundException", "no such job")
                return self.job(method, self.jobs[id], rest)
        self.violated(f"no such operation {method} {path}")

    def put_type(self, name, body):
        self.check(re.fullmatch(r"[a-zA-Z_][a-zA-Z_0-9-]{0,254}", name), f"type {name}")
        self.check(1 <= len(body.get("Description", "")) <= 10000, "Description")
        self.check(1 <= body.get("ExpirationDays", 1) <= 1098, "ExpirationDays")
        fields, keys = body.get("Fields", {}), body.get("Keys", {})
        for field, mapping in fields.items():
            self.check(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", field), f"field {field}")
            self.check(mapping["Source"] == f"_source.{field}", f"source of {field}")
            self.check(mapping.get("Target", "_profile.x").startswith("_profile."), f"target of {field}")
            self.check(mapping.get("ContentType") in ("STRING", "NUMBER", "PHONE_NUMBER", "EMAIL_ADDRESS", "NAME"), "ContentType")
        unique = 0
        self.check(1 <= len(keys) <= 10, "10 keys a type")
        for key, alternatives in keys.items():
            self.check(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", key), f"key {key}")
            for alternative in alternatives:
                unique += "UNIQUE" in alternative["StandardIdentifiers"]
                for field in alternative["FieldNames"]:
                    self.check(field in fields, f"key {key} of no field {field}")
        self.check(unique == 1, "one unique key")
        self.types[name] = {k: v for k, v in body.items()}
        return dict(self.types[name], ObjectTypeName=name)

    def put_objects(self, body):
        kind = self.types.get(body.get("ObjectTypeName"))
        if kind is None:
            raise Stop(404, "ResourceNotFoundException", "no such type")
        items = body.get("Items", [])
        self.check(1 <= len(items) <= 10, f"{len(items)} items")
        good, bad = [], []
        for item in items:
            self.check(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", item["Id"]), f"Id {item['Id']}")
            self.check(1 <= len(item["Object"]) <= 256_000, "length of Object")
            state = json.loads(item["Object"])
            self.check(set(state) <= set(kind["Fields"]), f"fields without mapping: {set(state) - set(kind['Fields'])}")
            who = state.get("address") or state.get("user_id")
            status = self.fault_of_item(who)
            if status:
                bad.append({"Id": item["Id"], "Code": status, "Message": f"{who} is refused"})
                continue
            self.objects[state["hearback_id"]] = state
            self.merge(who, state, kind["Fields"])
            good.append({"Id": item["Id"], "ProfileObjectUniqueKey": state["hearback_id"]})
        return {"Successful": good, "Failed": bad}

    def merge(self, who, state, fields):
        profile = self.profiles.setdefault(who, {})
        for field, value in state.items():
            target = fields.get(field, {}).get("Target", "")
            if target.startswith("_profile.Attributes."):
                name = target[len("_profile.Attributes."):]
                self.check(len(value) <= 255, f"length of {name}")
                if value == "":
                    profile.pop(name, None)
                else:
                    profile[name] = value

    def create_segment(self, name, body):
        self.check(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name), f"segment {name}")
        self.check(1 <= len(body.get("DisplayName", "")) <= 255, "DisplayName")
        self.check(name not in self.segments, f"{name} is there already")
        groups = body["SegmentGroups"]
        self.check(groups["Include"] in ("ALL", "ANY", "NONE"), "Include")
        for group in groups["Groups"]:
            for dimension in group["Dimensions"]:
                for attribute in dimension["ProfileAttributes"]["Attributes"].values():
                    self.check(attribute["DimensionType"] == "INCLUSIVE", "DimensionType")
                    self.check(1 <= len(attribute["Values"]) <= 50, "Values")
        self.segments[name] = body
        return {"SegmentDefinitionName": name, "SegmentDefinitionArn": "arn:x"}

    def create_job(self, body):
        self.check(1 <= len(body.get("DisplayName", "")) <= 255, "DisplayName")
        self.check(1 <= body.get("DataExpiry", 0) <= 1098, "DataExpiry is given")
        self.check(body.get("UniqueKey") in body.get("Fields", {}), "UniqueKey")
        self.check(len(body["Fields"]) <= 25, "25 columns")
        id = hashlib.md5(str(len(self.jobs)).encode()).hexdigest()
        self.jobs[id] = {"id": id, "status": "CREATED", "asked": 0, "csv": None, "request": body,
                         "token": base64.b64encode(os.urandom(32)).decode()}
        return {"JobId": id}

    def job(self, method, job, rest):
        if (method, rest) == ("GET", ["path"]):
            return {"Url": f"http://127.0.0.1:{PORT}/store/{job['id']}?X-Amz-Signature=secret", "ClientToken": job["token"]}
        if (method, rest) == ("PUT", []):
            self.check(job["csv"] is not None, "started before the file was there")
            job["status"] = "IN_PROGRESS"
            return {}
        if (method, rest) == ("GET", []):
            job["asked"] += 1
            if job["status"] == "IN_PROGRESS" and job["asked"] >= 2:
                self.read(job)
            summary = {"FailedRecords": self.partial, "UpdatedRecords": 0, "CreatedRecords": 0}
            return {"JobId": job["id"], "Status": job["status"], "ResultsSummary": summary}
        self.violated("no such operation on a job")

    def read(self, job):
        fields = job["request"]["Fields"]
        rows = list(csv.DictReader(io.StringIO(job["csv"])))
        for row in rows[: len(rows) - self.partial]:
            who = row[job["request"]["UniqueKey"]]
            # An empty column says nothing, it clears nothing.
            self.merge(who, {k: v for k, v in row.items() if v}, fields)
        job["status"] = "PARTIALLY_SUCCEEDED" if self.partial else "SUCCEEDED"

    def lay(self, method, id, headers, body):
        self.check(method == "PUT" and id in self.jobs, "upload")
        job = self.jobs[id]
        key = base64.b64decode(job["token"])
        prefix = "x-amz-server-side-encryption-customer-"
        self.check(headers.get(prefix + "algorithm") == "AES256", "SSE-C algorithm")
        self.check(headers.get(prefix + "key") == job["token"], "SSE-C key")
        self.check(headers.get(prefix + "key-MD5") == base64.b64encode(hashlib.md5(key).digest()).decode(), "SSE-C MD5")
        self.check(not body.startswith(b"\xef\xbb\xbf"), "no BOM")
        job["csv"] = body.decode("utf-8")
        return {}


class Webhook(StandIn):
    """A receiver of signed batches; the secret is `a secret`."""

    def __init__(self):
        super().__init__()
        self.members, self.seen, self.items_received = {}, {}, 0

    def state(self):
        return dict(super().state(), members=self.members, items=self.items_received, ids=len(self.seen))

    def handle(self, method, path, query, headers, body):
        self.check(method == "POST", "POST")
        id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = b".".join([id.encode(), stamp.encode(), body])
        right = base64.b64encode(hmac.new(b"a secret", signed, hashlib.sha256).digest()).decode()
        self.check(headers["webhook-signature"] == "v1," + right, "signature")
        self.check(headers["idempotency-key"] == id, "idempotency key")
        self.check(abs(time.time() - int(stamp)) < 300, "timestamp")
        self.check(self.seen.setdefault(id, body) == body, "one id, two bodies")
        batch = json.loads(body)
        self.check(1 <= len(batch["items"]) <= 500, "size of the batch")
        failed = []
        for item in batch["items"]:
            self.items_received += 1
            if self.fault_of_item(item["member"]):
                failed.append({"member": item["member"], "reason": f"{item['member']} is refused"})
            elif item["action"] == "remove":
                self.members.pop(item["member"], None)
            else:
                self.members[item["member"]] = item["attributes"]
        return {"failed": failed}


class Front(StandIn):
    """Passes everything on to the AWS behind."""

    def __init__(self):
        super().__init__()
        self.behind = urllib.parse.urlsplit(os.environ["BEHIND"]).netloc

    def handle(self, method, path, query, headers, body):
        return self.pass_on(method, path + query, headers, body)

    def pass_on(self, method, target, headers, body):
        kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length", "connection")}
        connection = http.client.HTTPConnection(self.behind)
        connection.request(method, target, body, kept)
        answer = connection.getresponse()
        return Raw(answer.status, answer.getheaders(), answer.read())

    def forward(self, method, path, headers, body):
        """Makes a request of our own in the name of whoever sent these headers."""
        answer = self.pass_on(method, path, headers, json.dumps(body).encode())
        found = json.loads(answer.body or b"{}")
        if answer.status >= 300:
            raise Stop(answer.status, found.get("__type", "BadRequestException"), found.get("message", ""))
        return found

    def lines(self, url):
        """The lines of an object that an import job is told to read."""
        found = re.fullmatch(r"s3://([^/]+)/(.*)", url)
        self.check(found, "S3Url")
        with urllib.request.urlopen(f"http://{self.behind}/{found[1]}/{found[2]}") as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]


class Lists(Front):
    """Import jobs of SES contact lists."""

    def __init__(self):
        super().__init__()
        self.jobs = {}

    def state(self):
        return dict(super().state(), jobs=self.jobs)

    def handle(self, method, path, query, headers, body):
        if (method, path) == ("POST", "/v2/email/import-jobs"):
            return self.start(json.loads(body), headers)
        if method == "GET" and path.startswith("/v2/email/import-jobs/"):
            return self.jobs[path.rsplit("/", 1)[1]]
        return super().handle(method, path, query, headers, body)

    def start(self, body, headers):
        target = body["ImportDestination"]["ContactListDestination"]
        self.check(target["ContactListImportAction"] in ("PUT", "DELETE"), "action")
        source = body["ImportDataSource"]
        self.check(source["DataFormat"] == "JSON", "format")
        contacts, failed = self.lines(source["S3Url"]), 0
        for contact in contacts:
            self.check(set(contact) <= {"emailAddress", "unsubscribeAll", "attributesData", "topicPreferences"}, "keys")
            if self.fault_of_item(contact["emailAddress"]):
                failed += 1
                continue
            preferences = [{"TopicName": p["topicName"], "SubscriptionStatus": p["subscriptionStatus"]} for p in contact["topicPreferences"]]
            path = f"/v2/email/contact-lists/{target['ContactListName']}/contacts"
            self.forward("POST", path, headers, {"EmailAddress": contact["emailAddress"], "TopicPreferences": preferences})
        id = f"job-{len(self.jobs) + 1}"
        self.jobs[id] = {"JobId": id, "JobStatus": "COMPLETED", "ProcessedRecordsCount": len(contacts), "FailedRecordsCount": failed}
        return {"JobId": id}


class Pinpoint(Front):
    """Import jobs of Pinpoint: endpoints are registered a hundred at a time; refused ones are named."""

    def __init__(self):
        super().__init__()
        self.jobs = {}

    def state(self):
        return dict(super().state(), jobs=self.jobs)

    def handle(self, method, path, query, headers, body):
        if method == "POST" and path.endswith("/jobs/import"):
            return self.start(path[: -len("/jobs/import")], json.loads(body), headers)
        if method == "GET" and "/jobs/import/" in path:
            return self.jobs[path.rsplit("/", 1)[1]]
        return super().handle(method, path, query, headers, body)

    def start(self, application, job, headers):
        self.check(job["Format"] == "JSON" and job["RegisterEndpoints"] and job["RoleArn"].startswith("arn:"), "job")
        good, failures = [], []
        for endpoint in self.lines(job["S3Url"]):
            self.check({"Id", "ChannelType", "Address", "Attributes"} <= set(endpoint), "keys")
            for name, values in endpoint["Attributes"].items():
                self.check(len(name) <= 50 and all(len(value) <= 100 for value in values), f"attribute {name}")
            if self.fault_of_item(endpoint["Address"]):
                failures.append(f"{endpoint['Id']}: invalid")
            else:
                good.append(endpoint)
        for begin in range(0, len(good), 100):
            self.forward("PUT", application + "/endpoints", headers, {"Item": good[begin : begin + 100]})
        id = f"job-{len(self.jobs) + 1}"
        self.jobs[id] = {
            "ApplicationId": application.rsplit("/", 1)[1], "CreationDate": "2026-01-01T00:00:00.000Z", "Definition": job, "Id": id,
            "JobStatus": "COMPLETED", "Type": "IMPORT", "TotalFailures": len(failures), "TotalProcessed": len(good) + len(failures),
            "Failures": failures[:100],
        }
        return self.jobs[id]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, code=None):
        if isinstance(body, Raw):
            return self.pass_back(body)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-amzn-requestid", f"request-{len(HERE.requests)}")
        if code:
            self.send_header("x-amzn-errortype", code)
        self.end_headers()
        self.wfile.write(data)

    def pass_back(self, raw):
        self.send_response(raw.status)
        for name, value in raw.headers:
            if name.lower() not in ("connection", "transfer-encoding", "date", "server", "content-length"):
                self.send_header(name, value)
        length = dict((name.lower(), value) for name, value in raw.headers).get("content-length")
        self.send_header("content-length", length if self.command == "HEAD" and length else str(len(raw.body)))
        self.end_headers()
        self.wfile.write(raw.body)

    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/_state":
            with LOCK:
                return self.answer(200, HERE.state())
        if path == "/_script":
            with LOCK:
                HERE.script(json.loads(body))
            return self.answer(200, {})
        with LOCK:
            HERE.requests.append(f"{self.command} {path}")
            HERE.counted += 1
            at = HERE.counted
            hang = at == HERE.hang_at
            if hang and not HERE.performed:
                HERE.hanging = True
        if hang and not HERE.performed:
            time.sleep(600)
        try:
            with LOCK:
                status = HERE.answers.get(at)
                if status:
                    code = "ThrottlingException" if status == 429 else "InternalServerException"
                    raise Stop(status, code, "as scripted")
                answer = HERE.handle(self.command, path, "?" + query if query else "", self.headers, body)
                if hang:
                    HERE.hanging = True
            if hang:
                time.sleep(600)
            self.answer(200, answer)
        except Stop as stop:
            self.answer(stop.status, {"message": stop.message, "Message": stop.message}, stop.code)
        except Exception as error:  # a request that cannot even be taken apart
            HERE.violations.append(repr(error))
            self.answer(400, {"message": repr(error)}, "ValidationException")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do


KINDS = {"profiles": Profiles, "webhook": Webhook, "lists": Lists, "pinpoint": Pinpoint, "front": Front}
HERE = KINDS[sys.argv[1]]()
PORT = int(sys.argv[2])
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
