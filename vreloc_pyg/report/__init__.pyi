from .benchmark_report import write_report as write_report
from .plots import (
    recall_curves as recall_curves,
    timeline_picture as timeline_picture,
    training_curves as training_curves,
)
from .qualitative import choose_queries as choose_queries, qualitative_figure as qualitative_figure
from .readme import readme_table as readme_table, replace_between_markers as replace_between_markers
