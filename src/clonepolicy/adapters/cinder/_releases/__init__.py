"""What differs between the releases of Cinder, in one place.

`release` says what can differ, `known` has the value of each release, and
`verified` the digests of the code that was verified with it.  Everything
else asks `installed_release`, and never for a version number.
"""

from clonepolicy.adapters.cinder._releases.installed import installed_release
from clonepolicy.adapters.cinder._releases.release import CinderRelease

__all__ = ["CinderRelease", "installed_release"]
