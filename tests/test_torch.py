"""The contract on PyTorch. A file of its own, so that the backends are tested side by side."""

import pytest

from tests.helpers import check_contract_on


@pytest.mark.slow
def test_contract_on_torch(tmp_path):
    check_contract_on("torch", tmp_path)
