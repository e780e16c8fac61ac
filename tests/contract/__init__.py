import pytest

pytest.register_assert_rewrite("tests.contract.laws", "tests.contract.looks")
