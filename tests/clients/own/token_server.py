#!/usr/bin/env python3
"""A token service for distribution, as its documents on token authentication describe it.

    token_server.py PORT KEY CERTIFICATE USER PASSWORD IDENTITY_TOKEN LOG

USER may do all that is asked for below `USER/`, by GET with the password (basic authentication) or
by POST with the identity token (`grant_type=refresh_token`). Nobody else may do anything. Tokens
are JSON web tokens signed with RS256 by openssl; the certificate goes with them (`x5c`). Each
request is a line of LOG: method, status, scopes. Only the standard library is needed.
"""

import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse
import uuid

ISSUER, LIFETIME = "token-server", 60


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def certificate_of(path):
    """The base64 of its DER, as it stands in PEM."""
    lines = open(path, encoding="ascii").read().splitlines()
    return "".join(line for line in lines if not line.startswith("-----"))


class TokenService(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, key, certificate, user, password, identity_token, log):
        super().__init__(("127.0.0.1", int(port)), Handler)
        self.key, self.certificate = key, certificate_of(certificate)
        self.user, self.identity_token = user, identity_token
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.log = open(log, "a", encoding="utf-8", buffering=1)

    def access(self, scopes):
        """What of the scopes is granted: `repository:NAME:ACTION,ACTION`."""
        granted = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.split(":", 2)
            if kind == "repository" and name.startswith(f"{self.user}/"):
                granted.append({"type": kind, "name": name, "actions": actions.split(",")})
        return granted

    def token(self, service, scopes):
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.certificate]}
        claims = {"iss": ISSUER, "sub": self.user, "aud": service, "exp": now + LIFETIME, "nbf": now - 10,
                  "iat": now, "jti": uuid.uuid4().hex, "access": self.access(scopes)}
        signed = b".".join(encode(json.dumps(part).encode()) for part in (header, claims))
        signer = ["openssl", "dgst", "-sha256", "-sign", self.key]
        signature = subprocess.run(signer, input=signed, stdout=subprocess.PIPE, check=True).stdout
        return (signed + b"." + encode(signature)).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        is_known = self.headers.get("Authorization") == self.server.authorization
        self.answer(is_known, query.get("service", [""])[0], query.get("scope", []), {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = urllib.parse.parse_qs(body)
        is_known = form.get("grant_type") == ["refresh_token"] \
            and form.get("refresh_token") == [self.server.identity_token]
        kept = {"refresh_token": self.server.identity_token}
        self.answer(is_known, form.get("service", [""])[0], form.get("scope", []), kept)

    def answer(self, is_known, service, scopes, more):
        if is_known:
            token = self.server.token(service, scopes)
            status, body = 200, {"token": token, "access_token": token, "expires_in": LIFETIME} | more
        else:
            status, body = 401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}
        self.server.log.write(f"{self.command} {status} {' '.join(scopes)}\n")
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Requests are in the log already."""


if __name__ == "__main__":
    if len(sys.argv) != 8:
        sys.exit(__doc__)
    TokenService(*sys.argv[1:]).serve_forever()
