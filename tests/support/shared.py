"""Published vectors and real data beside the repository; tests that need them skip without."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
VECTORS = SHARED / "vectors"
DATA = SHARED / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no vectors beside the repository")
