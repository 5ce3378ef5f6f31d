"""A load step changes settings of the whole process: they must be as before when it is over."""

import gc
import sys

from nsn_pipeline.orchestration.interpreter import set_up_for_loading


def test_settings_hold_for_the_load_alone() -> None:
    before = gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()
    with set_up_for_loading():
        assert gc.get_threshold()[0] > before[0][0]
        assert sys.getswitchinterval() < before[1]
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()) == before


def test_loads_side_by_side_end_in_any_order() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    first, second = set_up_for_loading(), set_up_for_loading()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < before[1]
    second.__exit__(None, None, None)
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
