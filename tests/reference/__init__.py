"""A second, dull implementation of the three policies, to compare with.

It shares no code with the package: it reads the requests' attributes,
parses URLs from their text, and knows reasons by their values.  Letters
and numbers (A8, C9, K13, V2 ...) name the documented behaviour of Cinder
and Glance that a line stands for; B numbers name known defects that SAFE
avoids; S and I numbers name invariants.
"""

from reference.verdicts import Created, Reasons, Uploaded, create, upload

__all__ = ["Created", "Reasons", "Uploaded", "create", "upload"]
