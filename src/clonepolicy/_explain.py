"""Say why, to the operator and to the tenant, and what would change it."""

from __future__ import annotations

import datetime
from typing import Any

import attrs

from clonepolicy._decisions import (
    Clone,
    Decision,
    Download,
    Refuse,
    Register,
)
from clonepolicy._findings import CreateFindings, Finding, Findings, Path
from clonepolicy._policies import SAFE, Policy, label
from clonepolicy._reasons import Reason, Who
from clonepolicy._records import CreateRequest, Host, UploadRequest
