from .recipe import Group as Group, Recipe as Recipe
from .run import train as train
