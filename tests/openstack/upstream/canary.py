"""Tests that fail without the drop-in.

A run in which one of them has the other result proves nothing: Cinder's own
tests then passed or failed without any decision.
"""

from __future__ import annotations

import contextlib
from unittest import mock

from cinder.tests.unit import fake_constants as fakes
from cinder.tests.unit import fake_volume
from cinder.tests.unit import volume as base
from cinder.volume.flows.manager import create_volume


class CanaryTestCase(base.BaseVolumeTestCase):
    """What Cinder's own tests use, as they use it."""

    def test_a_create_is_decided(self) -> None:
        """The flow's task asks the policy."""
        task = create_volume.CreateVolumeFromSpecTask(
            self.volume, mock.Mock(), self.volume.driver
        )
        with (
            self.assertLogs("clonepolicy", "INFO") as logged,
            contextlib.suppress(Exception),
        ):
            task._create_from_image(
                self.context,
                fake_volume.fake_volume_obj(self.context),
                (None, None),
                fakes.IMAGE_ID,
                {},
                mock.Mock(),
            )
        assert "operation=create verdict=download" in logged.output[0]

    def test_an_upload_is_decided(self) -> None:
        """The volume manager asks the policy."""
        with (
            self.assertLogs("clonepolicy", "INFO") as logged,
            contextlib.suppress(Exception),
        ):
            self.volume.copy_volume_to_image(
                self.context, fakes.VOLUME_ID, {"id": fakes.IMAGE_ID}
            )
        assert "operation=upload" in logged.output[0]
