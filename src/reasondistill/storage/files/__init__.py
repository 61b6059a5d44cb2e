"""Reading and writing files so that a broken one is named by line and a half-written one never appears."""

from reasondistill.storage.files.atomic import (
    atomic_folder,
    atomic_write,
    json_line,
    json_text,
    write_json,
    write_jsonl,
)
from reasondistill.storage.files.fingerprints import (
    broken_seal,
    file_fingerprint,
    file_sha256,
    fingerprint,
    fingerprint_of_texts,
    seal_of,
    seal_of_bytes,
)
from reasondistill.storage.files.places import (
    real_path,
    require_file,
    require_new_file,
    require_new_folder,
    require_place,
    writing,
)
from reasondistill.storage.files.reading import (
    JsonObject,
    add_note,
    parse_json_object,
    read_head,
    read_json,
    read_json_list,
    read_jsonl,
    read_lines,
    read_versioned_json,
)

__all__ = [
    "JsonObject",
    "add_note",
    "atomic_folder",
    "atomic_write",
    "broken_seal",
    "file_fingerprint",
    "file_sha256",
    "fingerprint",
    "fingerprint_of_texts",
    "json_line",
    "json_text",
    "parse_json_object",
    "read_head",
    "read_json",
    "read_json_list",
    "read_jsonl",
    "read_lines",
    "read_versioned_json",
    "real_path",
    "require_file",
    "require_new_file",
    "require_new_folder",
    "require_place",
    "seal_of",
    "seal_of_bytes",
    "write_json",
    "write_jsonl",
    "writing",
]
