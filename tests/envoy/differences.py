"""Where Envoy's transcoder and our gateway answer differently, and why each difference stays.

Every difference that `equivalence.py` finds must be of one of these kinds; docs/gateway-equivalence.md is made from
this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    title: str
    ours: str
    envoy: str
    reason: str


KINDS = {
    "success-status": Kind(
        "Status of success",
        "what the contract declares: 201, 202 or 204",
        "200 for every success",
        "The transcoder knows no option for it. The house rule is part of the REST contract.",
    ),
    "empty-body": Kind(
        "Answer without content",
        "no body with 204",
        "`{}`",
        "Follows from the status.",
    ),
    "enum-spelling": Kind(
        "Spelling of enums in answers",
        '`"processing"`',
        '`"ORDER_STATUS_PROCESSING"`',
        "Proto3 JSON says the latter; the house rule is shorter names.",
    ),
    "enum-in-request": Kind(
        "Short enum names in requests",
        "`delivered` and `ORDER_STATUS_DELIVERED` are both understood, in bodies and in queries",
        "only the full name; the short one is refused with 400",
        "Follows from the spelling.",
    ),
    "error-body": Kind(
        "Body of an error",
        "`{\"error\": {...}}` or problem+json, with the reason and the violated fields",
        "google.rpc.Status in JSON, with the same reason and the same fields in `details`",
        "Clients of REST get the house format. The information is the same, and is compared.",
    ),
    "error-status": Kind(
        "HTTP status of an error",
        "from the table of reasons, for example 422 where a rule of the shop forbids it",
        "from the gRPC code alone: FAILED_PRECONDITION is 400",
        "HTTP tells more apart than gRPC codes do; the reason in the body is the same.",
    ),
    "refused-by-transcoder": Kind(
        "Requests that do not fit the contract",
        "400 that names the field, in the house format",
        "400 with a line of text",
        "The request never reaches the hub, so the transcoder speaks for itself.",
    ),
    "refused-by-token-check": Kind(
        "Requests without the token that they need",
        "401 in the house format",
        "401 with a line of text, from the token filter",
        "The request never reaches the hub. A member of staff without the role gets the hub's 403 through both.",
    ),
    "unknown-field-in-body": Kind(
        "Unknown fields in a JSON body",
        "refused with 400: a misspelt field must not silently do nothing",
        "ignored",
        "The transcoder cannot be told to refuse them in bodies, only in queries.",
    ),
}

# Not visible in the messages, so not found by comparing them.
BESIDE = [
    Kind(
        "Sessions in cookies",
        "login and guest sessions set cookies, and cookies need the CSRF header",
        "tokens only in the body; a cookie of ours is read by the token filter",
        "Cookies belong to the REST face. A browser behind Envoy sends the token as Bearer.",
    ),
    Kind(
        "Lists whose body is the list itself",
        "`GET /api/users/me/addresses`, `/api/users/me/payment-methods`, `/api/staff/carriers` answer an array",
        "passed to the hub untouched, which answers the same array",
        "The transcoder refuses a rule with `response_body`; the generated descriptors leave those rules out.",
    ),
    Kind(
        "Streams",
        "JSON array, NDJSON or SSE, by `Accept`",
        "a JSON array",
        "The transcoder has one form, so streams are left to the hub's own gateway.",
    ),
    Kind(
        "Idempotency-Key, ETag, Cache-Control, RateLimit headers",
        "on REST answers",
        "the key is honoured by the hub behind Envoy; replays, tags and budgets are not shown in headers",
        "They are headers of the REST face, not metadata of the RPC.",
    ),
]


def page():
    lines = [
        "# Envoy's transcoder and our gateway",
        "",
        "`hub envoy edge` writes a configuration with which a real Envoy serves the same contracts: it transcodes JSON and",
        "gRPC-Web with our descriptors and passes gRPC to the hub. `tests/envoy/check` starts both, asks each the same",
        "questions, a day in the life of the shop with every REST operation, and compares the answers as messages. Every",
        "difference is of one of the kinds below; a new one fails the test.",
        "",
        "| what | our gateway | Envoy | why it stays |",
        "|---|---|---|---|",
    ]
    for kind in KINDS.values():
        lines.append(f"| {kind.title} | {kind.ours} | {kind.envoy} | {kind.reason} |")
    lines += ["", "Beside the messages:", "", "| what | our gateway | Envoy | why it stays |", "|---|---|---|---|"]
    for kind in BESIDE:
        lines.append(f"| {kind.title} | {kind.ours} | {kind.envoy} | {kind.reason} |")
    lines += ["", "This page is made by `tests/envoy/check --update`."]
    return "\n".join(lines) + "\n"
