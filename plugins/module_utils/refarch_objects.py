# SPDX-License-Identifier: GPL-3.0-or-later
"""One signed request to a bucket, as GitLab would make it with the same connection."""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

LIMIT = 15


def sign(method, url, connection, now):
    """The headers of a request signed as S3 wants it.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (read 2026-11).
    """
    region, day = connection.get("region") or "us-east-1", time.strftime("%Y%m%d", now)
    stamp, parts = time.strftime("%Y%m%dT%H%M%SZ", now), urllib.parse.urlsplit(url)
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": empty, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join([method, parts.path, parts.query, lines, names, empty])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + str(connection["aws_secret_access_key"])).encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{connection['aws_access_key_id']}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers


def bucket_url(connection, bucket):
    region = connection.get("region") or "us-east-1"
    endpoint = connection.get("endpoint") or f"https://s3.{region}.amazonaws.com"
    parts = urllib.parse.urlsplit(str(endpoint))
    if connection.get("path_style"):
        return f"{parts.scheme}://{parts.netloc}/{bucket}"
    return f"{parts.scheme}://{bucket}.{parts.netloc}/"


def s3_code(body):
    """The word by which S3 says what it did not like, as `SignatureDoesNotMatch`."""
    try:
        return xml.etree.ElementTree.fromstring(body).findtext("{*}Code") or ""
    except xml.etree.ElementTree.ParseError:
        return ""


def ask_bucket(connection, bucket):
    """Lists at most one object, since unlike HEAD its refusal says why."""
    url = bucket_url(connection, bucket) + "?list-type=2&max-keys=1"
    # In a signed query the names are in order and every one has a value, which these are and have.
    headers = sign("GET", url, connection, time.gmtime())
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
            return {"status": answer.status, "error": None}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "error": s3_code(error.read())}
    except (OSError, urllib.error.URLError) as error:
        return {"status": None, "error": str(getattr(error, "reason", error))}
