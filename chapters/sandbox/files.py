"""Between S3 and folders."""

import gzip
import io
import tarfile
from pathlib import Path

from botocore.exceptions import ClientError

from .api import client


def split(uri):
    """Return (bucket, key) of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def find(uri):
    """Return the keys of the objects under an S3 URI, a prefix; an empty list if there is no such bucket."""
    bucket, prefix = split(uri)
    try:
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix)
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except ClientError:
        return []


def read(uri):
    """Return the bytes of one object. Raises botocore's ClientError if it is missing."""
    bucket, key = split(uri)
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def download(uri, folder):
    """Copy the objects under an S3 prefix into a folder; paths are relative to the prefix's last folder."""
    bucket, prefix = split(uri)
    for key in find(uri):
        inside = key.startswith(prefix.rstrip("/") + "/")
        name = (
            key[len(prefix.rstrip("/")) :].lstrip("/")
            if inside
            else key[prefix.rfind("/") + 1 :]
        )
        if not name.endswith(
            "/"
        ):  # an empty object stands for a folder in the S3 console
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read(f"s3://{bucket}/{key}"))


def upload(folder, uri):
    """Copy all files of a folder to an S3 prefix."""
    bucket, prefix = split(uri.rstrip("/"))
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/")
            client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def upload_archive(folder, uri):
    """Store a folder as a tar.gz file, without dates, so that the same files give the same bytes.

    Returns the URI, or None for an empty folder, which is not stored.
    """

    def undated(member):
        member.mtime = member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return None
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as zipped:
        with tarfile.open(fileobj=zipped, mode="w") as tar:
            for name in names:
                tar.add(folder / name, arcname=name, filter=undated)
    bucket, key = split(uri)
    client("s3").put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    return uri


def unpack(uri, folder):
    """Unpack a tar.gz object into a folder. Raises ClientError or tarfile.TarError."""
    with tarfile.open(fileobj=io.BytesIO(read(uri))) as tar:
        tar.extractall(folder, filter="data")
