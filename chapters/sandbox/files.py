"""Between S3 and folders."""

import gzip
import shutil
import tarfile
import tempfile

from botocore.exceptions import ClientError, ParamValidationError

from .api import client

CHUNK = 1 << 20  # bytes that are in memory at once


def split(uri):
    """Return (bucket, key) of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def find(uri):
    """Return the keys of the objects under an S3 URI, a prefix.

    The list is empty if there is no such bucket.
    """
    bucket, prefix = split(uri)
    try:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except (ClientError, ParamValidationError):
        return []


def exists(uri):
    """Return whether an S3 URI names an object."""
    bucket, key = split(uri)
    try:
        return bool(client("s3").head_object(Bucket=bucket, Key=key))
    except (ClientError, ParamValidationError):
        return False


def fetch(uri, file):
    """Write the bytes of one object to an open file. Raises ClientError if it is missing."""
    bucket, key = split(uri)
    body = client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    shutil.copyfileobj(body, file, CHUNK)


def inside(folder, name):
    """Return the path of a name below a folder. Raises OSError if it leads out of it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OSError(f"{name} leads out of its folder")
    return path


def download(uri, folder, part=slice(None)):
    """Copy the objects under an S3 prefix into a folder.

    Their paths are relative to the prefix's last folder. Of the objects in the order of their keys,
    `part` chooses some. Raises OSError for a key that leads out of the folder.
    """
    bucket, prefix = split(uri)
    for key in find(uri)[part]:
        within = key.startswith(prefix.rstrip("/") + "/")
        start = len(prefix.rstrip("/")) if within else prefix.rfind("/") + 1
        name = key[start:].lstrip("/")
        if not name.endswith("/"):  # an empty object stands for a folder in the S3 console
            target = inside(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                fetch(f"s3://{bucket}/{key}", file)


def upload(pairs):
    """Copy all files of folders to S3 prefixes, pairs of (folder, URI).

    Of equal keys the newest file counts.
    """
    found = [(p, *pair) for pair in pairs for p in sorted(pair[0].rglob("*"))]
    found = [file for file in found if file[0].is_file()]
    for path, folder, uri in sorted(found, key=lambda file: file[0].stat().st_mtime_ns):
        bucket, prefix = split(uri.rstrip("/"))
        key = f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/")
        with path.open("rb") as file:
            client("s3").put_object(Bucket=bucket, Key=key, Body=file)


def states(folder):
    """Return {path: (time, size)} of the files of a folder, in order."""
    found = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: (status.st_mtime_ns, status.st_size) for path, status in found}


def upload_changed(folder, uri, stored):
    """Copy the files of a folder to an S3 prefix that `stored` does not hold as they are now, and
    delete there what it holds and the folder no longer has.

    `stored`, {path: (time, size)}, is brought up to date. Source: "If a checkpoint is deleted in
    the SageMaker AI container, it will also be deleted in the S3 folder",
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
    """
    bucket, prefix = split(uri.rstrip("/"))

    def key(path):
        return f"{prefix}/{path.relative_to(folder).as_posix()}".lstrip("/")

    for path, state in states(folder).items():
        if stored.get(path) != state:
            with path.open("rb") as file:
                client("s3").put_object(Bucket=bucket, Key=key(path), Body=file)
            stored[path] = state
    for path in [path for path in stored if not path.exists()]:
        client("s3").delete_object(Bucket=bucket, Key=key(path))
        del stored[path]


def upload_archive(folders, uri):
    """Store folders as one tar.gz file, without dates, so that the same files give the same bytes.

    Of files with equal names the first folder's counts. Empty folders alone store nothing.
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
        return
    with tempfile.TemporaryFile() as buffer:
        undated_zip = {"filename": "", "mtime": 0, "compresslevel": 1}
        with gzip.GzipFile(fileobj=buffer, mode="wb", **undated_zip) as zipped:
            with tarfile.open(fileobj=zipped, mode="w") as tar:
                for name, path in sorted(found.items()):
                    tar.add(path, name.as_posix(), recursive=False, filter=undated)
        buffer.seek(0)
        bucket, key = split(uri)
        client("s3").put_object(Bucket=bucket, Key=key, Body=buffer)


def extract(archive, folder):
    """Unpack a tar.gz, an open file or a path, into a folder.

    Raises tarfile.TarError, or OSError for what is cut off or leads out of the folder.
    """
    named = {"fileobj": archive} if hasattr(archive, "read") else {"name": archive}
    try:
        with tarfile.open(**named) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
                return
            for member in tar:  # Python 3.11.0 to 3.11.3 has no filters
                inside(folder, member.name)
                if member.isfile() or member.isdir():
                    member.mode |= 0o600
                    tar.extract(member, folder)
    except EOFError as error:
        raise OSError(f"the archive is cut off: {error}") from error


def unpack(uri, folder):
    """Unpack a tar.gz object into a folder. Raises as `extract`, or ClientError."""
    with tempfile.TemporaryFile() as archive:
        fetch(uri, archive)
        archive.seek(0)
        extract(archive, folder)
