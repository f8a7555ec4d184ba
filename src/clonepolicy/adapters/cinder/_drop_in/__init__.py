"""The decision in a running Cinder, as a volume manager or in a driver.

`entry_points` has both.  A create passes through `create`, an upload through
`upload`; `backend` decides and reports.  `supported_cinder` lists every
method of Cinder that is used.  Only it and the entry points import Cinder's
volume manager and its flows.
"""
