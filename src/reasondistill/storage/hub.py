"""Folders on the Hugging Face hub. Arguments are those of `huggingface_hub`, under their own names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from reasondistill.errors import CheckpointError, MissingExtraError, first_line

_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(path: str | os.PathLike[str]) -> bool:
    """Whether a text looks like ``owner/name`` and is no path here: neither it nor its folder is there."""
    text = os.fspath(path)
    return _ID.fullmatch(text) is not None and not Path(text).exists() and not Path(text).parent.exists()


def download(repo_id: str, **options: Any) -> Path:
    """The folder of a repository as it is on the hub, in `huggingface_hub`'s cache.

    Args:
        repo_id: ``owner/name``.
        **options: of `huggingface_hub.snapshot_download`: ``revision``, ``token``, ``cache_dir``, ``force_download``,
            ``local_files_only`` …

    Raises:
        CheckpointError: there is no such repository, or the hub cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    with _on_the_hub(repo_id):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo_id, **options))


class UploadOptions(TypedDict, total=False):
    """The arguments of `upload`."""

    commit_message: str | None
    commit_description: str | None
    private: bool | None
    token: bool | str | None
    revision: str | None
    create_pr: bool


def upload(folder: Path, repo_id: str, **options: Unpack[UploadOptions]) -> str:
    """Upload a folder into a repository, which is made if it is not there.

    Returns:
        the address of the commit, or of the pull request.

    Raises:
        CheckpointError: the hub refuses it, or cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    if unknown := sorted(options.keys() - UploadOptions.__annotations__.keys()):
        raise TypeError(f"unexpected options: {', '.join(unknown)}")
    with _on_the_hub(repo_id):
        from huggingface_hub import HfApi

        api, revision = HfApi(token=options.get("token")), options.get("revision")
        known = api.create_repo(repo_id, private=options.get("private"), exist_ok=True).repo_id
        if revision is not None and not revision.startswith("refs/pr"):
            api.create_branch(known, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=known,
            folder_path=folder,
            commit_message=options.get("commit_message") or "Upload a student of reasondistill",
            commit_description=options.get("commit_description"),
            revision=revision,
            create_pr=options.get("create_pr", False),
        )
    return str(commit.pr_url or commit.commit_url)


@contextmanager
def _on_the_hub(repo_id: str) -> Iterator[None]:
    """Say in a sentence what went wrong there."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"the hub's repository {repo_id}", "train") from error
    except TypeError:  # an option that there is not
        raise
    except Exception as error:  # of the network, of its client, of the hub: each has its own kinds
        kind = type(error).__name__
        raise CheckpointError(
            repo_id,
            expected="a folder, or a repository on the Hugging Face hub",
            found=f"no such folder, and on the hub {kind}: {first_line(error)}",
            fix="Check the spelling and the way to the hub; a private one needs token=… or HF_TOKEN.",
        ) from error
