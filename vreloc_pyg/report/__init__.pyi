from .benchmark_report import write_report as write_report
from .pages import replace_blocks as replace_blocks, short_table as short_table, suite_table as suite_table
from .plots import (
    recall_curves as recall_curves,
    timeline_picture as timeline_picture,
    training_curves as training_curves,
)
from .qualitative import choose_queries as choose_queries, qualitative_figure as qualitative_figure
