"""Asks our gateway and a real Envoy the same questions and compares what they answer, as messages.

    equivalence.py GATEWAY_URL ENVOY_URL DESCRIPTORS

Fails on a difference that differences.py does not explain, on an explanation that nothing needed, and on a REST
operation that the scenario leaves out.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections import Counter

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import differences
import scenario

# What is different in every answer.
VOLATILE = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z"), "<backup>"),
    (re.compile(r"HPH-\d{4}-\d+"), "<number>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"shopper-<uuid>@hub\.test"), "<email>"),
    (re.compile(r"(LAN|lanterns)-[0-9A-Fa-f]{8}", re.I), "<sku>"),
    (re.compile(r"brass-lantern(-\w+)?"), "<slug>"),
    (re.compile(r"\b[A-Z]{2}\d{19}\b"), "<tracking>"),
]
# Fields that hold measured or random values.
UNCOMPARED = {
    "refresh_token", "latency_ms", "uptime_seconds", "took_ms", "duration_ms", "detail", "views", "popularity",
    "tracking_number", "body", "html", "text", "purchases", "confidence", "next_page_token", "session_id", "total",
    "client_secret", "stock", "available", "location_id", "bytes", "files", "token", "freshness_seconds", "hours_in_stage", "provider_intent_id", "payment_intent_id", "fingerprint", "version", "as_of", "trace_id",
}
# Not callable in this way: a stream, and what only another agent's test model could answer.
LEFT_OUT = {"OrderService.StreamOrderEvents", "AgentService.InvokeStream"}


class Contract:
    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as file:
            files.ParseFromString(file.read())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.methods = {}
        for file in files.file:
            if not file.package.startswith("hub."):
                continue
            for service in file.service:
                found = self.pool.FindServiceByName(f"{file.package}.{service.name}")
                for method in found.methods:
                    self.methods[f"{service.name}.{method.name}"] = method

    def rest_operations(self):
        """RPCs that have a google.api.http rule: extension 72295728 of their options."""
        marker = b"\x82\xd3\xe4\x93\x02"
        return {name for name, method in self.methods.items() if marker in method.GetOptions().SerializeToString()}

    def message(self, rpc, answer):
        """The answer as a message and back: what two spellings of the same message have in common."""
        output = self.methods[rpc].output_type
        if isinstance(answer, list):
            answer = {"items": answer}
        message = message_factory.GetMessageClass(output)()
        json_format.ParseDict(self.full_names(output, answer), message, descriptor_pool=self.pool)
        return json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True,
            descriptor_pool=self.pool,
        )

    def full_names(self, descriptor, value):
        """`"processing"` as `"ORDER_STATUS_PROCESSING"`, wherever the contract has an enum."""
        if not isinstance(value, dict) or descriptor.full_name.startswith("google.protobuf."):
            return value
        fields = {field.name: field for field in descriptor.fields}
        return {key: self.field(fields[key], item) if key in fields else item for key, item in value.items()}

    def field(self, field, value):
        if isinstance(value, list):
            return [self.field(field, item) for item in value]
        if field.enum_type and isinstance(value, str) and value not in field.enum_type.values_by_name:
            prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.enum_type.name).upper()
            return f"{prefix}_{value.upper()}"
        if field.message_type and field.message_type.GetOptions().map_entry:
            item = field.message_type.fields_by_name["value"]
            return {key: self.field(item, entry) for key, entry in value.items()}
        if field.message_type:
            return self.full_names(field.message_type, value)
        return value


class Answer:
    def __init__(self, status, kind, text):
        self.status, self.text = status, text
        self.json = json.loads(text) if kind.startswith("application/json") and text else None

    def reason(self):
        """The stable reason of an error, whichever way it is written; None when the edge speaks for itself."""
        if self.json is None:
            return None
        if "error" in self.json:
            return self.json["error"].get("details", {}).get("reason")
        return next((one["reason"] for one in self.json.get("details", []) if "reason" in one), None)

    def fields(self):
        if self.json is None:
            return set()
        if "error" in self.json:
            violations = self.json["error"].get("details", {}).get("violations", [])
        else:
            violations = [v for one in self.json.get("details", []) for v in one.get("field_violations", [])]
        return {violation["field"] for violation in violations}


class Caller:
    """Asks one of the two and writes down what it was asked and answered."""

    def __init__(self, base):
        self.base, self.log = base, []

    def __call__(self, rpc, method, path, body=None, token=None, key=None):
        answer = self.send(method, path, body, token, key)
        self.log.append((rpc, f"{method} {path}", body, answer))
        return answer.json if isinstance(answer.json, dict) else {}

    def until(self, path, token, satisfied):
        deadline = time.monotonic() + 30
        while not satisfied(self.send("GET", path, None, token, None).json or {}):
            if time.monotonic() > deadline:
                sys.exit(f"{self.base}{path} does not get there")
            time.sleep(0.05)

    def send(self, method, path, body, token, key):
        request = urllib.request.Request(self.base + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        if token:
            request.add_header("authorization", f"Bearer {token}")
        if key:
            request.add_header("idempotency-key", key)
        try:
            response = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(response.status, response.headers.get("content-type", ""), response.read().decode())


def steady(value, key=None):
    if key in UNCOMPARED:
        return "<uncompared>"
    if isinstance(value, dict):
        return {name: steady(item, name) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [steady(item) for item in value]
    if isinstance(value, str):
        for pattern, stand_in in VOLATILE:
            value = pattern.sub(stand_in, value)
    return value


def compare(contract, rpc, asked, body, ours, envoys):
    """The kinds of difference between two answers, and what cannot be explained."""
    kinds, problems = set(), []
    if ours.status < 300 and envoys.status < 300:
        if ours.status != envoys.status:
            kinds.add("success-status")
        if ours.text == "" and envoys.json == {}:
            kinds.add("empty-body")
            return kinds, problems
        if ours.json is None or envoys.json is None:
            return kinds, ([] if ours.text == envoys.text else ["bodies differ"])
        one, two = (steady(contract.message(rpc, answer.json)) for answer in (ours, envoys))
        if one != two:
            problems += [f"{path}: {a!r} and {b!r}" for path, a, b in unlike(one, two)]
        elif "_" in envoys.text and spelled_differently(ours.text, envoys.text):
            kinds.add("enum-spelling")
        return kinds, problems
    if ours.status >= 300 and envoys.status >= 300:
        if envoys.reason() is None and envoys.json is None:
            if ours.status == 401 and envoys.status == 401:
                kinds.add("refused-by-token-check")
            elif ours.status == 400 and envoys.status == 400:
                kinds.add("refused-by-transcoder")
            else:
                problems.append(f"{ours.status} {ours.text[:200]} and {envoys.status} {envoys.text[:200]}")
            return kinds, problems
        if ours.json != envoys.json and "error" not in (envoys.json or {}):
            kinds.add("error-body")
        if ours.reason() != envoys.reason() or ours.fields() != envoys.fields():
            problems.append(f"{ours.text[:300]} and {envoys.text[:300]}")
        if ours.status != envoys.status:
            kinds.add("error-status")
        return kinds, problems
    if ours.status < 300 and envoys.status == 400 and "invalid value" in envoys.text:
        return {"enum-in-request"}, problems
    if ours.status == 400 and envoys.status < 300 and isinstance(body, dict) and "no such field" in ours.text:
        return {"unknown-field-in-body"}, problems
    return kinds, [f"{ours.status} {ours.text[:300]} and {envoys.status} {envoys.text[:300]}"]


def spelled_differently(ours, envoys):
    words = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', envoys))
    return any(f'"{word}"' not in ours for word in words)


def unlike(one, two, path=""):
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            yield from unlike(one.get(key), two.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (a, b) in enumerate(zip(one, two)):
            yield from unlike(a, b, f"{path}[{index}]")
    elif one != two:
        yield path, one, two


def main():
    gateway, envoy, descriptors = sys.argv[1:]
    contract = Contract(descriptors)
    ours, theirs = Caller(gateway), Caller(envoy)
    scenario.run(ours)
    scenario.run(theirs)
    found, failures = Counter(), []
    for (rpc, asked, body, a), (_, _, _, b) in zip(ours.log, theirs.log, strict=True):
        kinds, problems = compare(contract, rpc, asked, body, a, b)
        found.update(kinds)
        failures += [f"{rpc} {asked}: {problem}" for problem in problems]
    asked = {entry[0] for entry in ours.log}
    failures += [f"{rpc} is not in the scenario" for rpc in sorted(contract.rest_operations() - asked - LEFT_OUT)]
    failures += [f"no answer differs in {kind} any more" for kind in sorted(differences.KINDS.keys() - found.keys())]
    for failure in failures:
        print(failure)
    explained = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    print(f"{len(ours.log)} requests to each, {len(asked)} operations; explained: {explained}")
    print(f"{len(ours.log)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
