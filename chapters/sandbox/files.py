"""Between S3 and folders."""

import gzip
import io
import tarfile

from botocore.exceptions import ClientError

from .api import client


def split(uri):
    """Return (bucket, key) of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def find(uri):
    """Return the keys of the objects under an S3 URI, a prefix; an empty list if there is no such
    bucket.
    """
    bucket, prefix = split(uri)
    try:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except ClientError:
        return []


def read(uri):
    """Return the bytes of one object. Raises botocore's ClientError if it is missing."""
    bucket, key = split(uri)
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def download(uri, folder, part=slice(None)):
    """Copy the objects under an S3 prefix into a folder; paths are relative to the prefix's last
    folder.

    Of the objects in the order of their keys, `part` chooses some.
    """
    bucket, prefix = split(uri)
    for key in find(uri)[part]:
        inside = key.startswith(prefix.rstrip("/") + "/")
        name = (
            key[len(prefix.rstrip("/")) :].lstrip("/") if inside else key[prefix.rfind("/") + 1 :]
        )
        if not name.endswith("/"):  # an empty object stands for a folder in the S3 console
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read(f"s3://{bucket}/{key}"))


def upload(pairs):
    """Copy all files of folders to S3 prefixes, pairs of (folder, URI); of equal keys the newest
    file counts.
    """
    files = [(p, *pair) for pair in pairs for p in sorted(pair[0].rglob("*"))]
    files = [file for file in files if file[0].is_file()]
    for path, folder, uri in sorted(files, key=lambda file: file[0].stat().st_mtime_ns):
        bucket, prefix = split(uri.rstrip("/"))
        key = f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/")
        client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def upload_archive(folders, uri):
    """Store folders as one tar.gz file, without dates, so that the same files give the same bytes.

    Of files with equal names the first folder's counts.
    Returns the URI, or None if all folders are empty; then nothing is stored.
    """

    def undated(member):
        member.mtime = member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            found.setdefault(path.relative_to(folder), path)
    if not found:
        return None
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as zipped:
        with tarfile.open(fileobj=zipped, mode="w") as tar:
            for name, path in sorted(found.items()):
                tar.add(path, name.as_posix(), recursive=False, filter=undated)
    bucket, key = split(uri)
    client("s3").put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    return uri


def unpack(uri, folder):
    """Unpack a tar.gz object into a folder. Raises ClientError or tarfile.TarError."""
    with tarfile.open(fileobj=io.BytesIO(read(uri))) as tar:
        tar.extractall(folder, filter="data")
