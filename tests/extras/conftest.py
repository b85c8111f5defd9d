"""What tests of commands share."""

import pytest


@pytest.fixture
def wide_terminal(monkeypatch):
    """Room for the longest message in one line."""
    monkeypatch.setenv("COLUMNS", "250")
