"""The decision in a running Cinder, as a volume manager or in a driver.

`volume_manager` and `driver_mixin` are the entry points.  A create passes
through `create_task` (Cinder's flow) and `create` (decide and clone), an
upload through `upload`; `backend` holds what both need of one backend,
`decision_log` and `messages` report.  `supported_cinder` lists every
method of Cinder that is used.

Only the two entry points and `supported_cinder` import Cinder's volume
manager and its flows.
"""
