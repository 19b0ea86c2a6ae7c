"""The cases of the Python `oras` package: oras_cases.py REGISTRY FOLDER CASE. Started by oras.sh."""

import filecmp
import hashlib
import json
import os
import sys
import urllib.request

import oras.oci
from oras.client import OrasClient

MIB = 1024 * 1024


class Cases:
    def __init__(self, registry, folder):
        self.registry, self.folder = registry, folder
        self.client = OrasClient(hostname=registry, insecure=True)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)

    def file(self, name, size_bytes):
        with open(name, "wb") as file:
            file.write(os.urandom(size_bytes))
        return name

    def push(self, repository, tag, names, **options):
        return self.client.push(target=f"{self.registry}/{repository}:{tag}", files=names, **options)

    def round_trip(self, repository, names, **options):
        self.push(repository, "v1", names, **options)
        out = os.path.join(self.folder, "out", repository)
        self.client.pull(target=f"{self.registry}/{repository}:v1", outdir=out)
        for name in names:
            assert filecmp.cmp(name, os.path.join(out, name), shallow=False), name

    def push_and_pull(self):
        self.round_trip("oras/files", [self.file("a", 100), self.file("b", 3 * MIB)])

    def blobs_in_chunks(self):
        names = [self.file("c", 7 * MIB + 13), self.file("d", MIB)]
        self.round_trip("oras/chunks", names, do_chunked=True, chunk_size=MIB)

    def artifact_with_a_subject(self):
        # The digest is of the bytes the registry stores, so the subject is described by hand.
        pushed = self.push("oras/subject", "v1", [self.file("e", 10)])
        digest = "sha256:" + hashlib.sha256(pushed.request.body).hexdigest()
        size = len(pushed.request.body)
        subject = oras.oci.Subject("application/vnd.oci.image.manifest.v1+json", digest, size)
        self.push("oras/subject", "about", [self.file("f", 10)], subject=subject)
        url = f"http://{self.registry}/v2/oras/subject/referrers/{digest}"
        with urllib.request.urlopen(url) as response:
            assert len(json.load(response)["manifests"]) == 1

    def list_tags(self):
        for tag in ("x", "y", "z"):
            self.push("oras/tags", tag, [self.file("g", 10)])
        target = f"{self.registry}/oras/tags"
        assert self.client.get_tags(target) == ["x", "y", "z"]
        assert self.client.get_tags(target, N=2) == ["x", "y"]

    def delete(self):
        target = f"{self.registry}/oras/tags"
        assert self.client.delete_tag(target, "y")
        assert self.client.get_tags(target) == ["x", "z"]
        assert not self.client.delete_tag(target, "y")


if __name__ == "__main__":
    registry, folder, case = sys.argv[1:]
    getattr(Cases(registry, folder), case.replace(" ", "_"))()
