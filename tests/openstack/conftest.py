"""What the tests with OpenStack's own packages share.

They run in the nox session ``openstack``, which installs the packages that
the ``openstack`` group names; elsewhere each module skips and says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
