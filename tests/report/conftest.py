import pandas as pd
import pytest


@pytest.fixture
def pairs():
    """Two folds of three pairs; every reference has 20 s, one instance of 4 s, and one of another class."""
    rows = [
        {"fold": fold, "pair": i, "query_id": f"q{i}", "reference_id": f"r{fold}{i}", "label": "run"}
        for fold in (0, 1)
        for i in range(3)
    ]
    return pd.DataFrame(rows).assign(query_s=2.0, duration_s=20.0, truths="2.0:6.0", others="12.0:18.0")
