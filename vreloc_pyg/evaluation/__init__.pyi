from .comparison import (
    best_rival as best_rival,
    check_curves as check_curves,
    choose_ours as choose_ours,
    rivals as rivals,
    without_audits as without_audits,
)
from .evaluate import evaluate as evaluate
from .intervals import (
    ClassMeans as ClassMeans,
    Interval as Interval,
    class_means as class_means,
    mean_interval as mean_interval,
    t_interval as t_interval,
)
from .latex import to_latex as to_latex
from .metrics import METRICS as METRICS, Metric as Metric, metric_named as metric_named, recall as recall
from .presence import auroc as auroc, calibration_error as calibration_error, presence_table as presence_table
from .published import published_numbers as published_numbers, with_published as with_published
from .hits import THRESHOLDS as THRESHOLDS
from .sign_flip import (
    format_sign_flip as format_sign_flip,
    holm as holm,
    sign_flip as sign_flip,
    sign_flip_table as sign_flip_table,
)
from .tables import (
    difference_table as difference_table,
    fold_table as fold_table,
    format_intervals as format_intervals,
    result_table as result_table,
    save_table as save_table,
    to_markdown as to_markdown,
)
