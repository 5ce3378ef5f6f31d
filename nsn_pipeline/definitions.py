"""Assembles the Dagster definitions; no logic here."""

import dagster as dg

from nsn_pipeline.orchestration.assemble import build_definitions
from nsn_pipeline.settings import load_project_settings

defs: dg.Definitions = build_definitions(load_project_settings())
