"""Packages: exported students, which CTranslate2 runs without PyTorch. `packages.loading` opens one."""

from reasondistill.packages.manifest import PACKAGE_FILE, Manifest, is_package

__all__ = ["PACKAGE_FILE", "Manifest", "is_package"]
