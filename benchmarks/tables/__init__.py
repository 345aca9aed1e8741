"""One file per table. Each has TITLE, ABOUT and cases(plan) -> list[Case]; a new table is a file and a line here."""

import importlib

NAMES = ["forward", "explanations", "recipes", "perturbation", "selection", "estimators", "scaling"]


def table(name):
    return importlib.import_module(f"benchmarks.tables.{name}")
