"""The product's settings over a data folder that belongs to this test session alone."""

import atexit
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from flxdr.core.keys import PrivateKey

for _name in [name for name in os.environ if name.startswith(("FL_", "JARVIS_", "PQC_", "TELEMETRY_", "ROMA_"))]:
    del os.environ[_name]  # what a developer's shell exports must not decide a test
for _name in ("API_HMAC_KEY", "SECRET_KEY", "DEV_ALLOWED_ORIGINS", "BACKEND_PORT", "BACKEND_HOST"):
    os.environ.pop(_name, None)
_folder = Path(tempfile.mkdtemp(prefix="flxdr-tests-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ["FL_DATA_DIR"] = str(_folder)

from flxdr.settings import *  # noqa: E402, F403
from flxdr.settings import DATABASES, FLXDR  # noqa: E402

# The chain of the test database is founded once; every test must find the coordinator's key that signed it.
_key = PrivateKey.generate()
FLXDR = replace(FLXDR, pqc_sk_b64=_key.seed, pqc_pk_b64=_key.public.spki)
# A test suite sends in a minute what nobody else does; the tests of throttling bound it themselves.
FLXDR = replace(FLXDR, throttle_organization=0, throttle_address=0)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # A file, so that threads see each other as they do in production; without a flush, tests survive no power cut.
    DATABASES["default"]["TEST"] = {"NAME": str(_folder / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
