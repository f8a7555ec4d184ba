"""The decision in a running Cinder, as a volume manager or in a driver.

`entry_points` has the volume manager and the mixin for drivers.  A create
passes through `create`, an upload through `upload`; `backend` decides and
reports.  `supported_cinder` lists every method of Cinder that is used.  Only
`supported_cinder` and `entry_points` import Cinder's volume manager and its
flows.
"""
