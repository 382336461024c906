from .compare import evaluate_task as evaluate_task, load_localizer as load_localizer
from .plan import BenchmarkPlan as BenchmarkPlan
from .runs import run_benchmark as run_benchmark
from .train import train_system as train_system
