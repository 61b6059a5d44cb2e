"""Packages: exported students, which CTranslate2 runs without PyTorch: what is in one, and loading it."""

from reasondistill.packages.loading import LoadedPackage, load_package
from reasondistill.packages.manifest import PACKAGE_FILE, Manifest, is_package

__all__ = ["PACKAGE_FILE", "LoadedPackage", "Manifest", "is_package", "load_package"]
