#!/usr/bin/env python3
"""Verdicts of the reference implementation of protovalidate on a corpus of messages.

`corpus.jsonl` holds, one per line, a message type, an encoded message and what the reference says of
it; the unit tests of `mesh::validation` replay the file, so `cargo test` needs no Python. This script
is what wrote it:

    pip install 'protovalidate==2.1.*' grpcio-tools
    check.py --write               # after a change of rules.proto or of the cases
    check.py --verify              # fails when corpus.jsonl is not what the reference says (CI)
    check.py --fuzz 20000 --seed 7 --out FILE   # more cases for HUB_VALIDATION_CORPUS=FILE cargo test

A line is `[type, base64 wire, verdict]`; the verdict is "malformed" or a sorted list of
[field path, rule id].
"""

import argparse
import base64
import json
import pathlib
import random
import struct
import sys
import tempfile

import protovalidate
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import DecodeError
from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus.jsonl"
PACKAGE = "validation.cases"


def load():
    """Compiles rules.proto and returns its message classes by name."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "rules.bin"
        include = pathlib.Path(protoc.__file__).parent / "_proto"
        code = protoc.main(
            [
                "protoc",
                f"-I{HERE}",
                f"-I{ROOT / 'proto'}",
                f"-I{include}",
                "--include_imports",
                f"--descriptor_set_out={out}",
                str(HERE / "rules.proto"),
            ]
        )
        if code:
            sys.exit(code)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    descriptor = pool.FindFileByName("rules.proto")
    return {
        name: message_factory.GetMessageClass(message)
        for name, message in descriptor.message_types_by_name.items()
    }


# Wire format, by hand: the cases include encodings that no serializer writes.


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number, kind):
    return varint(number << 3 | kind)


def vint(number, value):
    return tag(number, 0) + varint(value)


def text(number, value):
    value = value.encode() if isinstance(value, str) else value
    return tag(number, 2) + varint(len(value)) + value


def entry(number, key, value):
    return text(number, key + value)


def fixed64(number, value):
    return tag(number, 1) + struct.pack("<d", value)


def fixed32(number, value):
    return tag(number, 5) + struct.pack("<f", value)


# Candidate values per field kind.

STRINGS = ["", "a", "ab", "abc", "abcd", "abcde", "xyz", "xbcx", "ABC", "äöü", "😀", "a😀b", "日本語", "12", "١٢", "a b", "a-b.c", "é", "ab\n", "a\nb", " ", "\u00a0", "\u2003", "bab", "aab", "c", "Σ", "ſ", "K"]
FORMATS = {
    "StringEmail": ["a@b", "a@b.c", "a.b+c@d-e.com", "@b", "a@", "a b@c.d", "a@b..c", "a@-b.c", "a@b-.c", "ä@b.c", "a@ä.c", "a..b@c.d", ".a@b", "a@b@c", "a@[1.2.3.4]", '"a"@b.c', "a@b.c.", "a@" + "x" * 63 + ".c", "a@" + "x" * 64, "a" * 80 + "@b.c", "a@1", "a@b.1", " a@b.c", "a@b.c\n", "a`{|}~!#$%&'*/=?^_@b"],
    "StringHostname": ["example.com", "EXAMPLE.com.", "a", "1", "a.1", "1.a", "-a.b", "a-.b", "a..b", ".", "..", "a_b", "ä.de", "x" * 63, "x" * 64, ".".join(["x" * 49] * 5), ".".join(["x" * 49] * 5) + ".abc", ".".join(["x" * 49] * 5) + ".abcd", ".".join(["x" * 49] * 5) + ".abc.", "1.2.3.4", "a.b.", "a.b..", "a.0x1", " a"],
    "StringIp": ["1.2.3.4", "01.2.3.4", "1.2.3", "1.2.3.256", "::", "::1", "fe80::1%eth0", "1.2.3.4 ", "::1%", "0x1.2.3.4", "1.2.3.4%a"],
    "StringIpv4": ["0.0.0.0", "255.255.255.255", "1.2.3.4.5", "1.2.3.04", "1.2..3", "::1", "1.2.3.4\n", "١.2.3.4"],
    "StringIpv6": ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", "1:2:3:4:5:6:1.2.3.4", "::ffff:1.2.3.4", "::1.2.3", "12345::", "g::", "fe80::a%en1", "fe80::a%", "::1%a%b", "::1%\u0000", "1.2.3.4", "[::1]", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "::01.2.3.4", "::1/64", "::1%a/b", "::1%ä"],
    "StringUri": ["https://example.com", "http://a/b?c=d#e", "mailto:a@b.c", "urn:a:b", "a:", "a", "", ":", "1a:b", "a+b-c.1:x", "http://[::1]:80/", "http://[::1", "http://[::1%25eth0]/", "http://[::1%eth0]/", "http://[::1%25]/", "http://[::1%25a%20b]/", "http://[v1.a:b]/", "http://[v.a]/", "http://[vg.a]/", "http://[V1f.a]", "http://a:b/", "http://a:80", "http://a:", "http://a:80:80", "http://u:p@h/", "http://u@v@h/", "http://a b/", "http://a/ b", "http://ä.de/", "http://%C3%A4.de/", "http://%FF.de/", "http://a/%FF", "http://a/%", "http://a/%2", "http://a/%zz", "http://a/%41", "http://a?b?c", "http://a#b#c", "http://a/[b]", "http://a?[b]", "//a/b", "/a", "http:///a", "http://", "http:", "http:a/b:c", "http:/a//b", "http:////a", "file:///c:/x", "x:a@b", "http://a/b;c=d,e!$&'()*+", "http://a/^", "http://a/`", 'http://a/"', "http://a\\b", "http://a/\n", "https://1.2.3.4:99999/", "http://[1.2.3.4]/", "http://a?%zz", "http://a#%zz", "http://u%40:x@h", "http://:80", "http://@h", "http://h@", "http://[::1]a", "http://[::1]:a", "http://]", "a://b%", "http://h%2", "http://a/|"],
    "StringUriRef": ["", "a", "/a", "//h/p", "./a:b", "a:b", "a/b:c", "1:b", ":b", "?a", "#a", "#a#b", "?a?b", "//[::1]", "//a b", "a%20b", "a%", "ä", "..", "//", "///", "a?b#c", "1a:b/c", "/a:b", "//a:b", "%41:b", "%zz", "a:b:c", "@", "a@b:c"],
    "StringAddress": ["example.com", "1.2.3.4", "::1", "fe80::1%a", "[::1]", "1.2.3", "a.1", "", "-", "256.1.1.1", "a:80"],
    "StringUuid": ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-42661417400g", "{123e4567-e89b-12d3-a456-426614174000}", "123e4567-e89b-12d3-a456-426614174000\n", "123e4567-e89b-12d3-a456_426614174000", "00000000-0000-0000-0000-000000000000"],
    "StringTuuid": ["123e4567e89b12d3a456426614174000", "123E4567E89B12D3A456426614174000", "123e4567e89b12d3a45642661417400", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a45642661417400g", "123e4567e89b12d3a456426614174000\n"],
    "StringUlid": ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "71ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "01ARZ3NDEKTSV4RRFFQ69G5FAl", "01ARZ3NDEKTSV4RRFFQ69G5FAO", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "A1ARZ3NDEKTSV4RRFFQ69G5FAV", "/1ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV\n"],
    "StringIpWithPrefixlen": ["1.2.3.4/24", "::1/64", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "::1/129", "::1/128", "1.2.3.4/0", "1.2.3.4/00", "1.2.3.4/+1", "1.2.3.4/1/2", "::1%a/64"],
    "StringIpv4WithPrefixlen": ["1.2.3.4/24", "::1/64", "1.2.3.4/32", "1.2.3.4/33", "1.2.3.4/01", "1.2.3.0/24", "/24"],
    "StringIpv6WithPrefixlen": ["::1/64", "1.2.3.4/24", "::/0", "::1/129", "fe80::1%a/64", "::ffff:1.2.3.4/100", "::1/64 "],
    "StringIpPrefix": ["1.2.3.0/24", "1.2.3.4/24", "1.2.3.4/32", "0.0.0.0/0", "1.0.0.0/0", "2001:db8::/32", "2001:db8::1/32", "::/0", "::1/128", "1.2.3.128/25", "1.2.3.129/25"],
    "StringIpv4Prefix": ["1.2.3.0/24", "1.2.3.4/24", "::/0", "10.0.0.0/8", "10.0.0.0/7", "255.255.255.255/32"],
    "StringIpv6Prefix": ["2001:db8::/32", "2001:db8:1::/32", "1.2.3.0/24", "::/0", "8000::/1", "c000::/1", "::1/127"],
    "StringHostAndPort": ["a:80", "example.com:443", "1.2.3.4:80", "[::1]:80", "::1:80", "a", "a:", ":80", "a:65535", "a:65536", "a:08", "a:0", "a:+1", "a:-1", "[::1]", "[::1]80", "[::1]:", "[1.2.3.4]:80", "[::1%a]:80", "a:b:80", "a_b:80", "[]:80", "[a]:80", "1.2.3:80", "256.1.1.1:80", "a.:80", "a:80 ", "[::1]]:80", "[::1%]]:80", "a:00", "a:65535\n", "a:999999999999"],
    "StringProtobufFqn": ["a", "a.b", "_a.B1", ".a", "a.", "a..b", "1a", "a.1", "a b", "ä", "a.b\n", "a-b"],
    "StringProtobufDotFqn": [".a", ".a.b", "a", ".", "..a", ".a.", ".1a", ".a\n"],
    "HeaderName": ["a", "Content-Type", ":path", ":", "a:", "a b", "a,b", "a\n", "a\r", "a\u0000", "ä", "!#$%&'*+-.^_|~`", "a/b", "(", "::a"],
    "HeaderValue": ["a b", "a\tb", "a\nb", "a\rb", "a\u0000b", "a\u007fb", "ä", "\u0001", "\u001f", "\u0085", " "],
    "StringPatternDollar": ["abc", "abc\n", "c\nd"],
    "StringMany": ["abc", "aXc", "axc", "ac", "abbbc", "abcx"],
}
FORMATS["HeaderNameLoose"] = FORMATS["HeaderUnspecified"] = FORMATS["HeaderName"]
FORMATS["HeaderValueLoose"] = FORMATS["HeaderValue"]
ALPHABETS = {
    "StringEmail": "ab1@@.-+_ ä\"",
    "StringHostname": "ab1..--_ä",
    "StringIp": "0129:::...%af/",
    "StringIpv4": "012....25",
    "StringIpv6": "01::::a%.f9",
    "StringUri": "ah:://??##[]@%25aZv1.-_!&= é|^",
    "StringUriRef": "ah:://??##[]@%25aZv1.-_!&= é|^",
    "StringHostAndPort": "a1:[]:.%0-6",
    "StringIpPrefix": "0128.:/:3",
    "StringAddress": "a1.:%[]-",
    "StringProtobufFqn": "a_.1-",
    "StringProtobufDotFqn": "a_.1-",
    "HeaderName": "a:-,/ `",
}
NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, -1, -2, -10, -11, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1, 9 * 10**18, 9 * 10**18 + 1]
REALS = [0.0, -0.0, 0.1, 1.5, 2.0, 4.999, 5.0, 5.5, 6.0, 7.0, 8.0, -1.0, float("inf"), float("-inf"), float("nan"), 3.4e38]
BLOBS = [b"", b"a", b"ab", b"abc", b"abcd", b"xbcx", b"\xff", b"\x00\x01\x02\x03", b"x" * 16, b"x" * 15, b"ABC", "é".encode()]
BOUNDS = {
    F.TYPE_INT32: (-(2**31), 2**31 - 1), F.TYPE_SINT32: (-(2**31), 2**31 - 1), F.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    F.TYPE_INT64: (-(2**63), 2**63 - 1), F.TYPE_SINT64: (-(2**63), 2**63 - 1), F.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    F.TYPE_UINT32: (0, 2**32 - 1), F.TYPE_FIXED32: (0, 2**32 - 1), F.TYPE_UINT64: (0, 2**64 - 1), F.TYPE_FIXED64: (0, 2**64 - 1),
}
# The first and last moments that protobuf allows, and some around the rules' bounds.
MOMENTS = [(0, 0), (2, 0), (5, 0), (5, 1), (5, 500000000), (4, 999999999), (7, 0), (7, 1), (8, 0), (-1, 0), (-5, -500000000), (10000, 0)]
INSTANTS = [(s, n) for s, n in MOMENTS if n >= 0] + [(253402300799, 999999999), (-62135596800, 0)]
MASKS = [[], ["a"], ["a", "b.c"], ["b.c", "a"], ["a.x"], ["ab"], ["b"], ["b.c.d", "z"], [""]]
TYPE_URLS = ["", "x", "type.googleapis.com/a.B", "a.B"]


def candidates(field, name):
    """Values that exercise the rules of a singular field."""
    if field.type in BOUNDS:
        low, high = BOUNDS[field.type]
        return [n for n in NUMBERS if low <= n <= high]
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return REALS
    if field.type == F.TYPE_BOOL:
        return [False, True]
    if field.type == F.TYPE_STRING:
        return FORMATS.get(name, STRINGS) + ([""] if name in FORMATS else [])
    if field.type == F.TYPE_BYTES:
        return BLOBS
    if field.type == F.TYPE_ENUM:
        return [0, 1, 2, 3, 7, -3, -1, 100]
    kind = field.message_type.full_name
    if kind == "google.protobuf.Duration":
        return [{"seconds": s, "nanos": n} for s, n in MOMENTS]
    if kind == "google.protobuf.Timestamp":
        return [{"seconds": s, "nanos": n} for s, n in INSTANTS]
    if kind == "google.protobuf.FieldMask":
        return [{"paths": paths} for paths in MASKS]
    if kind == "google.protobuf.Any":
        return [{"type_url": url, "value": b"xy"} for url in TYPE_URLS]
    if kind.startswith("google.protobuf.") and kind.endswith("Value"):
        inner = field.message_type.fields_by_name["value"]
        return [{"value": value} for value in candidates(inner, "")]
    return None


def fill(message, rng, depth=0):
    """Sets fields of `message` at random."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.35 or (depth > 3 and field.message_type):
            continue
        put(message, field, rng, depth)


def put(message, field, rng, depth):
    target = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[n] for n in ("key", "value"))
        for _ in range(rng.randrange(4)):
            chosen = rng.choice(candidates(key, ""))
            if candidates(value, "") is None:
                fill(target[chosen], rng, depth + 1)
            elif value.message_type:
                target[chosen].CopyFrom(build(value, rng))
            else:
                target[chosen] = rng.choice(candidates(value, ""))
    elif field.is_repeated:
        for _ in range(rng.randrange(5)):
            if candidates(field, "") is None:
                fill(target.add(), rng, depth + 1)
            elif field.message_type:
                target.append(build(field, rng))
            else:
                target.append(rng.choice(candidates(field, "")))
    elif candidates(field, "") is None:
        target.SetInParent()
        fill(target, rng, depth + 1)
    elif field.message_type:
        target.CopyFrom(build(field, rng))
    else:
        setattr(message, field.name, rng.choice(candidates(field, "")))


def build(field, rng):
    return message_factory.GetMessageClass(field.message_type)(**rng.choice(candidates(field, "")))


def simple(name, cls):
    """Every candidate for the one field of a message, and the empty message."""
    field = cls.DESCRIPTOR.fields_by_name.get("value")
    if field is None or len(cls.DESCRIPTOR.fields) != 1 or field.is_repeated:
        return
    for value in candidates(field, name) or []:
        yield cls(value=value).SerializeToString(deterministic=True)


LEAF_BAD, LEAF_GOOD = text(1, "x"), text(1, "xy")
BY_HAND = {
    "Presence": [
        vint(1, 6) + vint(1, 0), vint(1, 0) + vint(1, 6), vint(2, 0), vint(2, 3) + vint(2, 9), vint(4, 0), vint(5, 1), vint(3, 0), vint(3, 1),
        fixed64(7, -0.0), text(6, ""), text(6, "a"), text(11, ""), vint(1, 6) + text(8, b""), text(8, b"\x01"), text(8, b"\x01\x02"), vint(8, 1) + text(8, b"\x02") + vint(8, 3),
        entry(9, text(1, "a"), vint(2, 1)), entry(9, text(1, "a"), vint(2, 1)) * 2, entry(9, b"", b""), vint(10, 2), vint(10, 0),
    ],
    "Required": [
        vint(1, 0) + vint(2, 0) + fixed64(4, -0.0) + fixed32(13, -0.0), vint(1, 1) + vint(1, 0), text(8, b""), text(8, b"\x00"), text(9, b""), text(10, b""),
        vint(11, 0), vint(11, 1) + text(12, ""), text(12, "") + vint(11, 0), vint(5, 0) + text(6, b""), vint(5, 1) + text(6, b"x") + vint(7, -1),
    ],
    "OneofFields": [
        vint(1, 3), vint(1, 3) + text(2, "abc"), text(2, "abc") + vint(1, 3), text(2, "a") + vint(1, 6), vint(1, 0), text(2, ""), text(3, LEAF_BAD),
        text(3, LEAF_BAD) + text(3, LEAF_GOOD), text(3, vint(2, -1)) + text(3, LEAF_GOOD), text(3, vint(2, -1)) + vint(1, 6) + text(3, LEAF_GOOD), text(3, LEAF_BAD) + text(4, b""), vint(1, 3) + text(4, b""), text(4, b"") + vint(1, 3),
        text(3, vint(2, -1)) + text(4, b"") + text(3, LEAF_GOOD) + text(3, vint(2, 1)),
    ],
    "OneofRequired": [b"", vint(1, 0), text(2, ""), text(2, "abc"), text(3, b""), vint(4, 0), text(2, "x") + text(3, b""), vint(4, 1) + vint(5, 1)],
    "ChoiceOptional": [
        b"", vint(1, 1), vint(1, 0), vint(1, 1) + text(2, "abc"), vint(1, 0) + text(2, "a"), text(2, ""), vint(3, 0), vint(3, 0) + vint(1, 1), text(4, b"") + vint(1, 1), text(4, b"\x00") + vint(1, 1),
        entry(5, b"", b"") + vint(4, 0), text(6, b"") + vint(1, 1), text(6, b""), text(6, LEAF_BAD), text(6, LEAF_GOOD) + text(2, "ab"), vint(1, 1) + vint(1, 0) + text(2, "abc"),
    ],
    "ChoiceRequired": [b"", text(1, "a"), text(1, "abc"), fixed64(2, -0.0), fixed64(2, 0.0), fixed64(2, 1) + text(3, b"x"), text(1, "abc") + fixed64(2, 1) + text(3, b"xyz"), text(3, b"x"), text(1, "")],
    "ListSizes": [b"", text(1, b"\x01"), vint(1, 1), vint(1, 1) + vint(1, 2), text(1, b"\x01\x02\x03"), text(1, b"\x01") + vint(1, 2) + text(1, b"\x80\x01\x04"), text(1, b"\x80"), text(1, b""), text(1, b"") * 3],
    "ListUniqueInt": [b"", text(1, b"\x01\x02\x01"), vint(1, 1) + vint(1, 1), text(1, b"\x01") + vint(1, 2), text(1, b"\x81\x00") + vint(1, 1)],
    "ListUniqueText": [text(1, "a") + text(1, "a"), text(1, "a") + text(1, "b"), text(1, "") * 2],
    "ListUniqueBytes": [text(1, "a") + text(1, "a"), text(1, "a") + text(1, "b")],
    "ListUniqueDouble": [fixed64(1, 1) * 2, fixed64(1, 1) + fixed64(1, 2), fixed64(1, 0.0) + fixed64(1, -0.0), fixed64(1, float("nan")) * 2, fixed64(1, float("inf")) * 2],
    "ListUniqueBool": [text(1, b"\x01\x00"), text(1, b"\x01\x02"), text(1, b"\x00\x00")],
    "ListUniqueEnum": [text(1, b"\x01\x02"), text(1, b"\x01\x01"), text(1, b"\x63\x63")],
    "ListUniqueFixed": [text(1, bytes(16)), text(1, bytes(8) + b"\x01" * 8), text(1, bytes(7))],
    "ListUniqueOff": [text(1, b"\x01\x01")],
    "ListInt": [b"", text(1, b"\x06\x07"), text(1, b"\x06\x05\x07\x01"), vint(1, 1) + text(1, b"\x07\x02") + vint(1, 3), text(1, b"\x06\x80")],
    "ListUnpacked": [text(1, b"\x06\x05"), vint(1, 6) + vint(1, 5)],
    "ListFloat": [fixed32(1, 5.5) + fixed32(1, 5), text(1, struct.pack("<3f", 6, 4, float("nan"))), text(1, b"\x00\x00\x00")],
    "ListText": [b"", text(1, "abc"), text(1, "abc") + text(1, "") + text(1, "x"), text(1, b"\xff\xfe\xfd")],
    "ListBool": [text(1, b"\x01\x00\x02"), vint(1, 0)],
    "ListEnum": [text(1, b"\x01\x09\x02"), vint(1, -3) + vint(1, -4)],
    "ListIgnore": [text(1, "") + text(1, "x") + text(1, "abc")],
    "ListIgnoreInt": [text(1, b"\x00\x05\x06")],
    "ListIgnoreAlways": [text(1, "x")],
    "ListLeaf": [b"", text(1, LEAF_GOOD), text(1, LEAF_GOOD) + text(1, LEAF_BAD), text(1, b"") * 3, text(1, LEAF_GOOD + vint(2, -1))],
    "ListLeafSilent": [text(1, LEAF_BAD)],
    "ListRequiredItems": [text(1, ""), text(1, "abcd") + text(1, "")],
    "ListDuration": [text(1, vint(1, 5)) + text(1, vint(1, 6)) + text(1, b"")],
    "ListWrapped": [text(1, vint(1, 5)) + text(1, vint(1, 6)) + text(1, b"")],
    "ListAny": [text(1, text(1, "x")) + text(1, text(1, "y")) + text(1, b"")],
    "MapSizes": [b""] + [b"".join(entry(1, text(1, str(k)), vint(2, k)) for k in range(n)) for n in range(1, 5)] + [entry(1, text(1, "a"), b"") * 4, entry(1, b"", b"") + entry(1, text(1, ""), b"")],
    "MapText": [entry(1, text(1, "ab"), text(2, "xyz")), entry(1, text(2, "xyz"), text(1, "a")), entry(1, text(1, "ab"), text(2, "xyz")) + entry(1, text(1, "ab"), text(2, "x")), entry(1, text(1, "ab"), b""), entry(1, b"", text(2, "xyz")), entry(1, text(1, "ab") + text(1, "a"), text(2, "xyz") + text(2, "x")), entry(1, text(1, 'q"x'), text(2, "xyz")), text(1, b"\xff")],
    "MapInt": [entry(1, vint(1, 6), vint(2, 4)) + entry(1, vint(1, 5), vint(2, 5)) + entry(1, b"", b""), entry(1, vint(1, -1), vint(2, -1))],
    "MapSint": [entry(1, vint(1, 1), fixed64(2, 1)) + entry(1, vint(1, 2), fixed64(2, float("nan")))],
    "MapUnsigned": [entry(1, vint(1, 3), text(2, "a")) + entry(1, vint(1, 2**64 - 1), text(2, "ab")) + entry(1, vint(1, 4), b"")],
    "MapFixed": [entry(1, tag(1, 5) + b"\x01\x00\x00\x00", vint(2, 1)) + entry(1, tag(1, 5) + b"\x02\x00\x00\x00", b"")],
    "MapBool": [entry(1, vint(1, 1), vint(2, 1)) + entry(1, b"", vint(2, 77)), entry(1, vint(1, 0), vint(2, 0))],
    "MapLeaf": [entry(1, text(1, "a"), text(2, LEAF_GOOD)) + entry(1, text(1, "b"), text(2, LEAF_BAD)) + entry(1, text(1, "c"), b""), entry(1, text(1, "a"), text(2, LEAF_BAD) + text(2, vint(2, -1))), entry(1, text(1, "a"), text(2, LEAF_BAD)) + entry(1, text(1, "a"), text(2, LEAF_GOOD))],
    "MapLeafRules": [entry(1, text(1, "a"), text(2, LEAF_BAD)), entry(1, b"", b"")],
    "MapIgnore": [entry(1, b"", b""), entry(1, text(1, "a"), text(2, "b")), entry(1, text(1, "ab"), b"")],
    "MapSilent": [entry(1, text(1, "a"), text(2, LEAF_BAD))],
    "MapMoment": [entry(1, text(1, "a"), text(2, vint(1, 5))) + entry(1, text(1, "b"), text(2, vint(1, 6))) + entry(1, text(1, "c"), b"")],
    "MapFormats": [entry(1, text(1, "a@b.c"), text(2, "x")) + entry(1, text(1, "q"), text(2, "")) + entry(1, b"", b"")],
    "Branch": [
        b"", text(7, LEAF_GOOD), text(7, LEAF_BAD), text(1, LEAF_BAD) + text(7, LEAF_GOOD) + text(1, vint(2, -1)), text(7, LEAF_GOOD) + text(6, LEAF_BAD), text(200, "abcd") + text(7, b""), text(7, text(1, "xy")) + text(5, text(5, text(7, LEAF_BAD))),
        text(7, LEAF_GOOD) + text(4, vint(1, 1)) + text(200, "ab"), text(7, LEAF_GOOD) + text(9, LEAF_BAD) + text(10, text(7, LEAF_GOOD)), text(7, LEAF_GOOD) + vint(11, 0), text(7, LEAF_GOOD) + vint(11, 0) + text(9, LEAF_GOOD),
        text(7, LEAF_GOOD) + text(5, text(1, LEAF_BAD)) + text(5, text(7, LEAF_GOOD)), text(7, LEAF_GOOD) + text(5, text(2, LEAF_BAD)) + text(5, text(2, LEAF_GOOD) + text(2, LEAF_BAD) + text(7, LEAF_GOOD)),
        text(7, LEAF_GOOD) + text(3, text(1, "k") + text(2, LEAF_BAD)), vint(100, 1) + tag(101, 3) + vint(1, 1) + tag(101, 4) + text(7, LEAF_GOOD), tag(101, 3) + vint(1, 1), tag(101, 3) + tag(102, 4), tag(101, 4), b"\x00", b"\x08", text(7, LEAF_GOOD)[:-1], b"\xff" * 11, tag(5, 6), tag(7, 7), text(7, LEAF_GOOD) + fixed32(99, 1) + fixed64(98, 1) + text(97, "zz"), text(7, b"\x0a\xff"),
        text(7, LEAF_GOOD) + b"\xfa\xff\xff\xff\x0f\x00", text(7, text(1, b"\xc3\x28")),
    ],
    "Unruled": [b"", vint(1, 1) + text(3, text(3, b"")), text(2, b"")],
    "Bare": [b"", vint(1, 1)],
    "Order": [
        text(1, "123e4567-e89b-12d3-a456-426614174000") + text(2, text(1, "SKU-1") + vint(2, 2)) + text(3, "jo@example.com"),
        text(1, "123e4567-e89b-12d3-a456-426614174000") + text(2, text(1, "SKU-1") + vint(2, 2)) + text(2, text(1, "SKU-2") + vint(2, 100)) + text(3, "jo@example.com") + entry(4, text(1, "gift"), text(2, "yes")) + text(5, "ring twice please"),
        b"",
    ],
}


def nested(levels, inner):
    for _ in range(levels):
        inner = text(1, inner)
    return inner


BY_HAND["Chain"] = [nested(n, vint(2, -1)) for n in (0, 1, 3, 50, 99)]


def cases(classes):
    for name, cls in classes.items():
        yield name, b""
        for wire in simple(name, cls):
            yield name, wire
        for wire in BY_HAND.get(name, []):
            yield name, wire
    rng = random.Random(1)
    for name in ["Branch", "Order", "Presence", "Required", "ChoiceOptional", "OneofFields", "MapLeaf", "MapFormats"]:
        for _ in range(40):
            message = classes[name]()
            fill(message, rng)
            wire = message.SerializeToString(deterministic=True)
            if len(wire) < 400:
                yield name, wire


def has_maps(descriptor, seen):
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    below = [field.message_type for field in descriptor.fields if field.message_type]
    return any(t.GetOptions().map_entry or has_maps(t, seen) for t in below)


def fuzz(classes, count, seed):
    """Random messages, random strings for the formats, and random damage to encodings."""
    rng = random.Random(seed)
    known = [(name, wire) for name, wire in cases(classes)]
    # Python's protobuf drops a map entry with an unknown field in it, which no other parser does.
    fragile = {name for name, cls in classes.items() if has_maps(cls.DESCRIPTOR, set())}
    for _ in range(count):
        kind = rng.random()
        if kind < 0.4:
            name = rng.choice(list(ALPHABETS))
            sample = rng.choice(FORMATS.get(name, STRINGS) + [""])
            alphabet = ALPHABETS[name]
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(sample) + 1)
                piece = "".join(rng.choice(alphabet) for _ in range(rng.randrange(3)))
                sample = sample[:at] + piece + sample[at + rng.randrange(2) :]
            yield name, text(1, sample)
        elif kind < 0.7:
            name = rng.choice(list(classes))
            message = classes[name]()
            fill(message, rng)
            yield name, message.SerializeToString()
        else:
            name, wire = rng.choice(known)
            other = rng.choice([w for n, w in known if n == name])
            wire = bytearray(wire + other)
            if rng.random() < 0.5 and wire and name not in fragile:
                wire[rng.randrange(len(wire))] = rng.randrange(256)
            yield name, bytes(wire)


def render(path):
    """A FieldPath as `items[0].labels["k"]`."""
    out = ""
    for element in path.elements:
        out += ("." if out else "") + element.field_name
        subscript = element.subscript
        if subscript is not None:
            value = subscript.value
            if subscript.field == "string_key":
                out += f"[{json.dumps(value, ensure_ascii=False)}]"
            elif subscript.field == "bool_key":
                out += f"[{str(value).lower()}]"
            else:
                out += f"[{value}]"
    return out


def verdict(validator, cls, wire):
    try:
        message = cls.FromString(wire)
    except DecodeError:
        return "malformed"
    try:
        found = validator.collect_violations(message)
    except protovalidate.EvaluationError as error:
        return f"error: {error}"
    out = []
    for violation in found:
        proto = violation.proto
        out.append([render(proto.field) if proto.field else "", proto.rule_id])
    return sorted(out)


def lines(classes, source):
    validator = protovalidate.Validator()
    seen = set()
    for name, wire in source:
        if (name, wire) in seen:
            continue
        seen.add((name, wire))
        verdict_ = verdict(validator, classes[name], wire)
        encoded = base64.b64encode(wire).decode()
        yield json.dumps([name, encoded, verdict_], ensure_ascii=False, separators=(",", ":")) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true")
    mode.add_argument("--verify", action="store_true")
    mode.add_argument("--fuzz", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    classes = load()
    if options.fuzz:
        if not options.out:
            parser.error("--fuzz needs --out")
        options.out.write_text("".join(lines(classes, fuzz(classes, options.fuzz, options.seed))))
        return
    fresh = "".join(lines(classes, cases(classes)))
    if options.write:
        CORPUS.write_text(fresh)
        print(f"{CORPUS.name}: {fresh.count(chr(10))} cases, {len(fresh.encode())} bytes")
    elif CORPUS.read_text() != fresh:
        sys.exit("corpus.jsonl is not what the reference says; look at the difference after check.py --write")
    else:
        print(f"corpus.jsonl agrees with protovalidate: {fresh.count(chr(10))} cases")


if __name__ == "__main__":
    main()
