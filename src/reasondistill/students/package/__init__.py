"""Packages: exported students, which CTranslate2 runs without PyTorch. `students.package.opening` opens one."""

from reasondistill.students.package.manifest import PACKAGE_FILE, Manifest, is_package

__all__ = ["PACKAGE_FILE", "Manifest", "is_package"]
