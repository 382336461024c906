from .bootstrap import Interval as Interval, bootstrap_interval as bootstrap_interval
from .comparison import (
    best_rival as best_rival,
    check_curves as check_curves,
    choose_ours as choose_ours,
    rivals as rivals,
)
from .evaluate import evaluate as evaluate
from .latex import to_latex as to_latex
from .mcnemar import (
    format_mcnemar as format_mcnemar,
    holm as holm,
    mcnemar as mcnemar,
    mcnemar_table as mcnemar_table,
)
from .metrics import METRICS as METRICS, Metric as Metric, metric_named as metric_named, recall as recall
from .published import published_numbers as published_numbers, with_published as with_published
from .hits import THRESHOLDS as THRESHOLDS
from .tables import (
    difference_table as difference_table,
    format_intervals as format_intervals,
    result_table as result_table,
    save_table as save_table,
    to_markdown as to_markdown,
)
