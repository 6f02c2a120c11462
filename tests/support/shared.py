"""Published vectors and real data beside the repository; tests that need them are skipped
without, and counted."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
VECTORS = SHARED / "vectors"
DATA = SHARED / "data"

#: Why a test was skipped; `tests/conftest.py` counts them.
NO_VECTORS = "no vectors beside the repository"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=NO_VECTORS)
