#!/usr/bin/env python3
"""Makes OCI image layouts with random content, and checks content by digest.

    oci_layout.py make DIR [SEED]            writes DIR/<image>, one OCI layout for each test image
    oci_layout.py digest LAYOUT              prints the digest of the layout's only manifest
    oci_layout.py verify LAYOUT DIGEST       hashes everything DIGEST leads to in the layout
    oci_layout.py push LAYOUT URL REPO REF   pushes the layout's manifest, byte for byte
    oci_layout.py remote URL REPO REF        the same through a registry's API; prints REF's digest

Only the standard library is needed. The manifest, and everything it names, is read in full and
hashed, so an equal digest at the top means equal content.
"""

import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile
import urllib.parse
import urllib.request

KIB, MIB = 1024, 1024 * 1024
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
READ_SIZE = MIB


class Layout:
    """An OCI image layout being written; `latest` names its manifest."""

    def __init__(self, path, seed):
        self.path = path
        self.random = random.Random(seed)
        os.makedirs(os.path.join(path, "blobs", "sha256"), exist_ok=True)

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.path, "blobs", "sha256", digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def json(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def layer(self, size_bytes):
        """A tar with one random file: (descriptor of its gzip, digest of the tar)."""
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            entry = tarfile.TarInfo(f"file-{self.random.randrange(1 << 48):x}")
            entry.size = size_bytes
            tar.addfile(entry, io.BytesIO(self.random.randbytes(size_bytes)))
        packed = gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)
        return self.blob(packed, LAYER), f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"

    def image(self, layers, architecture="amd64"):
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": self.json(config, CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
            "annotations": {"org.example.made-by": "oci_layout.py"},
        }
        return self.json(manifest, IMAGE)

    def index(self, manifests):
        return self.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, INDEX)

    def multi(self, architectures):
        shared = self.layer(200 * KIB)
        images = []
        for architecture in architectures:
            descriptor = self.image([shared, self.layer(300 * KIB)], architecture)
            descriptor["platform"] = {"os": "linux", "architecture": architecture}
            images.append(descriptor)
        return self.index(images)

    def artifact(self, subject, artifact_type):
        manifest = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": artifact_type,
            "config": self.blob(b"{}", EMPTY),
            "layers": [self.blob(self.random.randbytes(3 * KIB), artifact_type)],
            "subject": subject,
            "annotations": {"org.example.note": "about the subject"},
        }
        return self.json(manifest, IMAGE)

    def finish(self, descriptor):
        top = dict(descriptor, annotations={"org.opencontainers.image.ref.name": "latest"})
        with open(os.path.join(self.path, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}, file)
        with open(os.path.join(self.path, "oci-layout"), "w", encoding="utf-8") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        return descriptor


def make(folder, seed):
    def layout(name):
        return Layout(os.path.join(folder, name), f"{seed}/{name}")

    small = layout("small")
    subject = small.finish(small.image([small.layer(n) for n in (0, 700, 40 * KIB, 900 * KIB)]))
    large = layout("large")
    large.finish(large.image([large.layer(n * MIB) for n in (64, 20, 5)]))
    multi = layout("multi")
    multi.finish(multi.multi(["amd64", "arm64", "s390x"]))
    nested = layout("nested")
    nested.finish(nested.index([nested.multi(["amd64", "arm64"]), nested.multi(["riscv64"])]))
    for name in ("signature", "sbom"):
        artifact = layout(name)
        artifact.finish(artifact.artifact(subject, f"application/vnd.example.{name}.v1"))
    fallback = layout("fallback")  # what clients keep under a tag where referrers are unknown
    entry = fallback.artifact(subject, "application/vnd.example.scan.v1")
    fallback.finish(fallback.index([dict(entry, artifactType="application/vnd.example.scan.v1")]))


def only_digest(layout):
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        manifests = json.load(file)["manifests"]
    if len(manifests) != 1:
        raise SystemExit(f"{layout}: {len(manifests)} manifests instead of 1")
    return manifests[0]["digest"]


def check(stream, digest, keep):
    """Hashes a stream; returns its bytes when they are kept."""
    algorithm, _, expected = digest.partition(":")
    hasher, kept = hashlib.new(algorithm), []
    while chunk := stream.read(READ_SIZE):
        hasher.update(chunk)
        if keep:
            kept.append(chunk)
    if hasher.hexdigest() != expected:
        raise SystemExit(f"{digest}: the content hashes to {hasher.hexdigest()}")
    return b"".join(kept)


def blobs_of(manifest):
    entries = manifest.get("layers", []) + [manifest[key] for key in ("config",) if key in manifest]
    return {entry["digest"] for entry in entries}


def walk(open_manifest, open_blob, digest):
    """Reads and hashes a manifest and everything below it; returns how many were read."""
    with open_manifest(digest) as stream:
        manifest = json.loads(check(stream, digest, keep=True))
    children = [child["digest"] for child in manifest.get("manifests", [])]
    count = 1 + sum(walk(open_manifest, open_blob, child) for child in children)
    for blob in blobs_of(manifest):
        with open_blob(blob) as stream:
            check(stream, blob, keep=False)
        count += 1
    return count


def verify(layout, digest):
    def opened(digest):
        return open(os.path.join(layout, "blobs", *digest.split(":")), "rb")

    print(f"{digest}: {walk(opened, opened, digest)} pieces of content agree")


def push(layout, url, repository, reference):
    """One POST and one PUT for each blob; for what other clients would not push unchanged."""
    base = f"{url}/v2/{repository}"

    def send(method, address, data=b"", media_type="application/octet-stream"):
        request = urllib.request.Request(address, data, {"Content-Type": media_type}, method=method)
        with urllib.request.urlopen(request) as response:
            return urllib.parse.urljoin(address, response.headers["Location"])

    def content(digest):
        with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as file:
            return file.read()

    def push_manifest(digest, reference):
        data = content(digest)
        manifest = json.loads(data)
        for child in manifest.get("manifests", []):
            push_manifest(child["digest"], child["digest"])
        for blob in blobs_of(manifest):
            location = send("POST", f"{base}/blobs/uploads/")
            send("PUT", f"{location}{'&' if '?' in location else '?'}digest={blob}", content(blob))
        send("PUT", f"{base}/manifests/{reference}", data, manifest["mediaType"])

    push_manifest(only_digest(layout), reference)


def remote(url, repository, reference):
    base = f"{url}/v2/{repository}"
    accept = ", ".join((IMAGE, INDEX, DOCKER_IMAGE, DOCKER_LIST))

    def manifest(reference, method="GET"):
        request = urllib.request.Request(f"{base}/manifests/{reference}", method=method)
        request.add_header("Accept", accept)
        return urllib.request.urlopen(request)

    def blob(digest):
        return urllib.request.urlopen(f"{base}/blobs/{digest}")

    digest = reference
    if ":" not in reference:
        with manifest(reference, "HEAD") as response:
            digest = response.headers["Docker-Content-Digest"]
        with manifest(reference) as response:
            check(response, digest, keep=False)
    walk(manifest, blob, digest)
    print(digest)


def main(arguments):
    match arguments:
        case ["make", folder, *seed]:
            make(folder, seed[0] if seed else random.randrange(1 << 32))
        case ["digest", layout]:
            print(only_digest(layout))
        case ["verify", layout, digest]:
            verify(layout, digest)
        case ["push", layout, url, repository, reference]:
            push(layout, url, repository, reference)
        case ["remote", url, repository, reference]:
            remote(url, repository, reference)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
