"""What tests of the kernels run through: every instruction set of this machine."""

import pytest

from pyxglm import get_num_threads, set_num_threads, use_isa
from pyxglm.ops.native_library import available_isas, isa


@pytest.fixture(params=available_isas())
def level(request):
    """Use an instruction set for a while, and as many threads as a test wants."""
    before = isa(), get_num_threads()
    use_isa(request.param)
    yield request.param
    use_isa(before[0])
    set_num_threads(before[1])
